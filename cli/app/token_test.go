package app

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pintle-io/pintle/engine/auth/pki"
)

func TestJoinTokenIsBoundToTheClustersAuthority(t *testing.T) {
	keys, err := pki.Open(pki.Config{Dir: t.TempDir() + "/pki"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{GetCertificate: servingChain(keys)}
	server.TLS.NextProtos = []string{"http/1.1"}
	l := tls.NewListener(server.Listener, server.TLS)
	server.Listener = l
	server.Start()
	defer server.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	url := "https://127.0.0.1:" + port

	hash, err := caHash(keys.CA())
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseJoinToken(JoinToken{Bearer: "abcdef.0123456789abcdef", CAHash: hash}.String())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := token.FetchCA(url)
	if err != nil {
		t.Fatal(err)
	}
	if string(ca) != string(keys.CA()) {
		t.Error("the authority fetched is not the cluster's")
	}
	token.CAHash[0]++
	if _, err := token.FetchCA(url); err == nil || !strings.Contains(err.Error(), "not of the cluster") {
		t.Errorf("another cluster's token gave %v", err)
	}
	if _, err := ParseJoinToken("abcdef.0123456789abcdef"); err == nil {
		t.Error("a token without a hash was taken")
	}
}
