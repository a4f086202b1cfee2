package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

func open(t *testing.T, cfg Config) *PKI {
	t.Helper()
	p, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func leaf(t *testing.T, p *PKI) *x509.Certificate {
	t.Helper()
	c, err := p.ServingCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

func TestServingCertificateNamesEveryAddress(t *testing.T) {
	p := open(t, Config{Dir: filepath.Join(t.TempDir(), "a", "pki"), Hosts: []string{"10.1.2.3", "host.example", "0.0.0.0"},
		ServiceIPs: []net.IP{net.IPv4(10, 96, 0, 1)}})
	cert := leaf(t, p)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "10.1.2.3", "host.example", "10.96.0.1",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: p.Pool(), DNSName: name}); err != nil {
			t.Errorf("name %s: %v", name, err)
		}
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: p.Pool(), DNSName: "other.example"}); err == nil {
		t.Error("the certificate answers to a name it was not given")
	}
}

func TestReopenKeepsKeysAndPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	first, second := open(t, Config{Dir: dir}), open(t, Config{Dir: dir})
	if string(first.CA()) != string(second.CA()) {
		t.Error("a restart made a new authority")
	}
	if !leaf(t, first).Equal(leaf(t, second)) {
		t.Error("a restart issued a new serving certificate")
	}
	if !first.ServiceAccountKey().Equal(second.ServiceAccountKey()) {
		t.Error("a restart made a new service account key")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", e.Name(), info.Mode().Perm())
		}
	}
	if leftovers, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".pki-*")); len(leftovers) > 0 {
		t.Errorf("left behind: %v", leftovers)
	}
}

func TestLeavesAreRenewed(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cfg := Config{Dir: filepath.Join(t.TempDir(), "pki"), Now: func() time.Time { return now }}
	p := open(t, cfg)
	before := leaf(t, p)
	now = now.Add(leafLife * 6 / 10)
	if !leaf(t, p).Equal(before) {
		t.Error("renewed with more than a third of its life left")
	}
	now = now.Add(leafLife / 10)
	after := leaf(t, p)
	if after.Equal(before) {
		t.Error("not renewed near its end, in a running server")
	}
	cfg.Hosts = []string{"new.example"}
	if got := leaf(t, open(t, cfg)); got.Equal(after) || got.VerifyHostname("new.example") != nil {
		t.Error("not issued anew for a new host")
	}
	now = now.Add(caLife)
	if _, err := Open(cfg); err == nil {
		t.Error("opened with an authority past its end")
	}
}

func TestWriteKubeconfigKeepsOtherClusters(t *testing.T) {
	dir := t.TempDir()
	p := open(t, Config{Dir: filepath.Join(dir, "pki")})
	path := filepath.Join(dir, "config")
	for _, name := range []string{"other", ""} {
		err := p.WriteKubeconfig(Kubeconfig{Path: path, Server: "https://127.0.0.1:1", Name: name, UID: os.Getuid(), GID: os.Getgid()})
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if config.CurrentContext != "pintle" || len(config.Contexts) != 2 {
		t.Errorf("current context %q of %d, want pintle of 2", config.CurrentContext, len(config.Contexts))
	}
	user := config.AuthInfos["pintle"]
	pair, err := tls.X509KeyPair(user.ClientCertificateData, user.ClientKeyData)
	if err != nil {
		t.Fatal(err)
	}
	if s := pair.Leaf.Subject; s.CommonName != AdminName || len(s.Organization) != 1 || s.Organization[0] != AdminGroup {
		t.Errorf("subject %v", s)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("not: [a kubeconfig"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteKubeconfig(Kubeconfig{Path: path}); err == nil {
		t.Error("a file that is not a kubeconfig was overwritten")
	}
}
