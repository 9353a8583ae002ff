package ops

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"posd/central"
	"posd/central/server"
	"posd/central/server/lookuplog"
	"posd/central/server/servertest"
	"posd/enroll"
	posmain "posd/posmain/server"
)

// metric is a family that a program exposes.
type metric struct {
	jobs   []string            // the programs
	labels map[string][]string // the values of each label
}

var scraped struct {
	sync.Once
	families map[string]*metric
}

// exposed are the families that a real centrald and a real posmaind expose.
func exposed(t *testing.T) map[string]*metric {
	t.Helper()
	scraped.Do(func() {
		scraped.families = map[string]*metric{}
		lookups, err := lookuplog.Open(lookuplog.Options{Dir: t.TempDir(), Days: 1})
		must(t, err)
		c := servertest.Start(t, func(o *server.Options) { o.Lookups = lookups })
		folder := c.EnrolIn(t, "12", "")
		take(t, "centrald", get(t, byItsCA(t, folder), c.OperationsURL+"/metrics"))

		shop, err := enroll.Load(folder)
		must(t, err)
		running, err := posmain.Start(shop, filepath.Join(t.TempDir(), "posmaind.db"), nil)
		must(t, err)
		defer running.Stop()
		must(t, running.Store.Follow(t.Context(), central.Changes{Feed: "f", Next: 1}, time.Now())) // as if it had heard of central
		lane := enroll.ClientConfig(c.Enrol(t, "12", "1"), enroll.Name{Role: enroll.POSMain})
		take(t, "posmaind", get(t, &http.Client{Transport: &http.Transport{TLSClientConfig: lane}}, running.URL+"/metrics"))
	})
	if len(scraped.families) == 0 {
		t.Fatal("no metric was read")
	}
	return scraped.families
}

// byItsCA is a client that knows central as prometheus.yaml says: by the file ca.pem
// of an enrolled machine, and by its name.
func byItsCA(t *testing.T, folder string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	must(t, err)
	block, _ := pem.Decode(text)
	ca, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

func get(t *testing.T, client *http.Client, url string) io.Reader {
	t.Helper()
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, resp.Status)
	}
	return strings.NewReader(string(text))
}

func take(t *testing.T, job string, text io.Reader) {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(text)
	must(t, err)
	for name, f := range families {
		m := scraped.families[name]
		if m == nil {
			m = &metric{labels: map[string][]string{}}
			scraped.families[name] = m
		}
		m.jobs = append(m.jobs, job)
		for _, one := range f.Metric {
			for _, l := range one.Label {
				if !slices.Contains(m.labels[l.GetName()], l.GetValue()) {
					m.labels[l.GetName()] = append(m.labels[l.GetName()], l.GetValue())
				}
			}
		}
	}
}

// family is that of a metric: a histogram has several.
func family(metric string) string {
	for _, end := range []string{"_bucket", "_sum", "_count"} {
		if name, ok := strings.CutSuffix(metric, end); ok {
			return name
		}
	}
	return metric
}
