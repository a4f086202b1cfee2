package containerd

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/container/containertest"
)

// A registry on this machine is spoken to in plain HTTP; credentials are used
// if it asks for them.
func TestPull(t *testing.T) {
	r, _ := newRuntime(t)
	backend := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, pass, _ := req.BasicAuth()
		if strings.Contains(req.URL.Path, "/private/") && (user != "me" || pass != "secret") {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, req)
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	img := containertest.BusyboxImage(t)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	push := httptest.NewServer(backend)
	defer push.Close()
	for _, repo := range []string{"/public/bb:1", "/private/bb:1"} {
		tag, err := name.NewTag(strings.TrimPrefix(push.URL, "http://")+repo, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, img); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.PullImage(t.Context(), host+"/public/bb:1", nil)
	if err != nil || got.Ref != host+"/public/bb@"+digest.String() {
		t.Errorf("public: %+v, %v", got, err)
	}
	if _, err := r.Image(t.Context(), host+"/public/bb@"+digest.String()); err != nil {
		t.Errorf("by digest: %v", err)
	}
	if _, err := r.PullImage(t.Context(), host+"/private/bb:1", nil); err == nil {
		t.Error("pulled without credentials")
	}
	creds := []container.Credential{{Registry: host, Username: "me", Password: "wrong"}, {Registry: "http://" + host, Username: "me", Password: "secret"}}
	if _, err := r.PullImage(t.Context(), host+"/private/bb:1", creds); err != nil {
		t.Errorf("with credentials: %v", err)
	}
	if _, err := r.PullImage(t.Context(), host+"/public/none:1", nil); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("missing: %v", err)
	}
	if err := r.RemoveImage(t.Context(), host+"/public/bb:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Image(t.Context(), host+"/public/bb:1"); !errors.Is(err, container.ErrNotFound) {
		t.Errorf("after remove: %v", err)
	}
}

// An OCI layout in a tar, with the name in an annotation, imports like a docker
// archive; one without a name is refused with advice.
func TestImportOCILayout(t *testing.T) {
	r, _ := newRuntime(t)
	img := containertest.BusyboxImage(t)
	for ref, want := range map[string]string{"registry.example/app:2": "registry.example/app:2", "": "names no image"} {
		dir := t.TempDir()
		p, err := layout.Write(dir, empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		opts := []layout.Option{}
		if ref != "" {
			opts = append(opts, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": ref}))
		}
		if err := p.AppendImage(mutate.MediaType(img, "application/vnd.oci.image.manifest.v1+json"), opts...); err != nil {
			t.Fatal(err)
		}
		got, err := r.ImportImages(t.Context(), tarOf(t, dir))
		if ref == "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("without a name: %v", err)
			}
			continue
		}
		if err != nil || len(got) != 1 || !strings.Contains(strings.Join(got[0].Names, " "), want) {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
	}
}

func tarOf(t *testing.T, dir string) *bytes.Reader {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	if err := tw.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(buf.Bytes())
}
