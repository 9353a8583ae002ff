package vm

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Where the tests' own things are in the guest.
const (
	agentFile  = "/usr/lib/posd-vm/guest"
	casesFile  = "/usr/lib/posd-vm/cases"
	recordings = "/usr/lib/posd-vm/testdata"
)

// shipped says where a package would put the repository's files: in a folder, or
// under another name.
func shipped() map[string]string {
	return map[string]string{
		"systemd/*.service":          "/usr/lib/systemd/system/",
		"systemd/*.socket":           "/usr/lib/systemd/system/",
		"systemd/posd.sysusers.conf": "/usr/lib/sysusers.d/posd.conf",
		"systemd/*.modules.conf":     "/usr/lib/modules-load.d/posd.conf",
		"udev/*.rules":               "/usr/lib/udev/rules.d/",
		"udev/*.hwdb":                "/usr/lib/udev/hwdb.d/",
		"drivers/testdata/*":         recordings + "/",
	}
}

// makePayload builds the programs, these tests and the agent in dir, and gives
// the tar of them and of the files that are shipped, each where it belongs.
func makePayload(dir string) (string, error) {
	files, err := compile(dir)
	if err != nil {
		return "", err
	}
	for pattern, to := range shipped() {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			return "", err
		}
		for _, file := range found {
			if strings.HasSuffix(to, "/") {
				files[to+filepath.Base(file)] = file
			} else {
				files[to] = file
			}
		}
	}
	name := filepath.Join(dir, "payload.tar")
	return name, writeTar(name, files)
}

// compile gives the programs by where they belong.
func compile(dir string) (map[string]string, error) {
	bin, agent, cases := filepath.Join(dir, "bin")+"/", filepath.Join(dir, "guest"), filepath.Join(dir, "cases")
	for _, args := range [][]string{
		{"build", "-o", bin, "posd/cmd/..."},
		{"build", "-o", agent, "posd/vm/guest"},
		{"test", "-c", "-o", cases, "posd/vm"},
	} {
		cmd := exec.Command("go", append(args[:len(args)-1:len(args)-1], "-trimpath", "-buildvcs=false", args[len(args)-1])...)
		if args[len(args)-1] != "posd/cmd/..." {
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	files := map[string]string{agentFile: agent, casesFile: cases}
	programs, err := filepath.Glob(bin + "*")
	for _, p := range programs {
		files[path.Join("/usr/bin", filepath.Base(p))] = p
	}
	return files, err
}

func writeTar(name string, files map[string]string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	for to, from := range files {
		if err := addFile(w, strings.TrimPrefix(to, "/"), from); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	// A disk has whole sectors, and tar reads whole records.
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	const record = 10240
	return f.Truncate((size + record - 1) / record * record)
}

func addFile(w *tar.Writer, to, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := w.WriteHeader(&tar.Header{Name: to, Mode: mode, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
