package image

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"

	"github.com/pintle-io/pintle/runtime/container"
)

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"web": "docker.io/library/web:latest", "me/web:2": "docker.io/me/web:2", "127.0.0.1:5000/web": "127.0.0.1:5000/web:latest",
	} {
		if got, err := Normalize(in); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := Normalize("Not A Name"); err == nil {
		t.Error("a bad reference is accepted")
	}
	// In an archive a bare tag names nothing.
	for in, want := range map[string]string{"latest": "", "web:1": "docker.io/library/web:1", "reg.example/web:1": "reg.example/web:1", "::": ""} {
		if got := archiveName(in); got != want {
			t.Errorf("archive name %q: %q, want %q", in, got, want)
		}
	}
}

func TestMatching(t *testing.T) {
	creds := []container.Credential{
		{Registry: "https://index.docker.io/v1/", Username: "hub"},
		{Registry: "reg.example", Username: "host"},
		{Registry: "reg.example/team", Username: "path"},
		{Registry: "*.example", Username: "wild"},
	}
	for ref, want := range map[string][]string{
		"web":                    {"hub"},
		"reg.example/other/web":  {"host", "wild"},
		"reg.example/team/web":   {"path", "host", "wild"},
		"reg.example/teams/web":  {"host", "wild"},
		"else.example/web":       {"wild"},
		"127.0.0.1:5000/any/web": nil,
	} {
		named, err := reference.ParseDockerRef(ref)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range Matching(named, creds) {
			got = append(got, c.Username)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", ref, diff)
		}
	}
}

func TestLoopbackAndCause(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1:5000": true, "localhost": true, "[::1]:80": true, "reg.example:443": false, "10.0.0.1:80": false} {
		if got := loopback(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	err := cause(&net.DNSError{Name: "none.example", Err: "no such host"})
	var dns *net.DNSError
	if !strings.HasPrefix(err.Error(), "the registry none.example cannot be found") || !errors.As(err, &dns) {
		t.Errorf("cause: %v", err)
	}
}
