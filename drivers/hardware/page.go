package hardware

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/recording"
)

const pageHead = `# Hardware

What posd reads, and what each device has to be set to. This page is made from the driver table and from the recordings that the
drivers are tested by: ` + "`go generate ./drivers/hardware`" + `.

A device is found by itself where *adopted* says so: its HID report descriptor tells what it is, or its maker makes nothing else.
Every other device is named in the configuration, by its port or by its id (` + "`posd devices`" + ` and ` + "`posd identify`" + ` tell both).

*Beep*: most devices give the signal of a good read themselves, as soon as they have read. Where the host can give it, the beep means
that the label is on the lane's disk; a device that beeps by itself says only that it has read it.
`

// Page gives the list of hardware for people. testdata is where the drivers'
// recordings are.
func Page(testdata string) (string, error) {
	recordings, err := provenance(testdata)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(pageHead)
	overview(&b)
	for _, d := range drivers.Table() {
		section(&b, d, recordings[d.Name])
	}
	makers(&b)
	return b.String(), nil
}

func overview(b *strings.Builder) {
	b.WriteString("\n| driver | for | transport | reads |\n|---|---|---|---|\n")
	for _, d := range drivers.Table() {
		fmt.Fprintf(b, "| [`%s`](#%s) | %s | %s | %s |\n", d.Name, d.Name, d.Role, transports(d), cell(d.Doc))
	}
}

func transports(d driver.Driver) string {
	var names []string
	for _, t := range d.Transports {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// cell keeps a text within a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

func section(b *strings.Builder, d driver.Driver, recordings []string) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", d.Name, sentence(d.Doc))
	fmt.Fprintf(b, "- Mode: %s\n- Beep: %s\n- Adopted: %s\n", sentence(d.Mode), sentence(d.Beep), sentence(adopted(d)))
	if len(d.Settings) > 0 {
		b.WriteString("\n| setting | values | default | meaning |\n|---|---|---|---|\n")
		for _, s := range d.Settings {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", s.Key, cell(s.Values), cell(s.Default), cell(s.Doc))
		}
	}
	b.WriteString("\nTested by:\n\n")
	for _, r := range recordings {
		fmt.Fprintf(b, "- %s\n", r)
	}
}

func adopted(d driver.Driver) string {
	switch {
	case d.Adopt != nil:
		return "yes"
	case d.Role == driver.Keypad:
		return "no, name it in the configuration"
	}
	return "where the maker is known"
}

// provenance gives the sources of the recordings, by driver.
func provenance(testdata string) (map[string][]string, error) {
	files, err := filepath.Glob(filepath.Join(testdata, "*.rec"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("list recordings: there are none in %s", testdata)
	}
	slices.Sort(files)
	all := map[string][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("list recordings: %w", err)
		}
		rec, err := recording.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("list recordings: %s: %w", file, err)
		}
		at := slices.IndexFunc(rec.More, func(h recording.Header) bool { return h.Key == "driver" })
		if at < 0 {
			return nil, fmt.Errorf("list recordings: %s names no driver", file)
		}
		name := rec.More[at].Value
		all[name] = append(all[name], fmt.Sprintf("`%s`: %s", strings.TrimSuffix(filepath.Base(file), ".rec"), rec.Source))
	}
	return all, nil
}

func makers(b *strings.Builder) {
	b.WriteString("\n## Makers\n\nudev/70-posd.rules gives the nodes of these to group posdev, and keeps ModemManager from them.\n\n| maker | vendor:product | for |\n|---|---|---|\n")
	for _, m := range drivers.Makers() {
		products := cmp.Or(strings.Join(m.Products, ", "), "all")
		if len(m.Except) > 0 {
			products += " but " + strings.Join(m.Except, ", ")
		}
		note := m.Note
		if note != "" {
			note = " (" + note + ")"
		}
		fmt.Fprintf(b, "| %s | %04x: %s%s | %s |\n", m.Name, m.Vendor, products, cell(note), cmp.Or(string(m.Role), "several roles: its HID devices tell themselves"))
	}
}
