package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"

	"github.com/pintle-io/pintle/runtime/container"
)

func decompress(r io.Reader) (io.ReadCloser, error) { return compression.DecompressStream(r) }

// PullImage downloads and unpacks an image. Credentials are tried in order, then
// none at all.
func (s *Store) PullImage(ctx context.Context, ref string, creds []container.Credential) (container.Image, error) {
	name, err := Normalize(ref)
	if err != nil {
		return container.Image{}, err
	}
	v, err, _ := s.pulls.Do(name+"\x00"+fingerprint(creds), func() (any, error) {
		return s.pull(s.scope(ctx), name, creds)
	})
	if err != nil {
		return container.Image{}, fmt.Errorf("failed to pull image %q: %w", ref, cause(err))
	}
	return v.(container.Image), nil
}

func fingerprint(creds []container.Credential) string {
	var b strings.Builder
	for _, c := range creds {
		fmt.Fprintf(&b, "%s\x00%s\x00%s\x00", c.Registry, c.Username, c.Password)
	}
	return b.String()
}

func (s *Store) pull(ctx context.Context, name string, creds []container.Credential) (container.Image, error) {
	named, err := reference.ParseDockerRef(name)
	if err != nil {
		return container.Image{}, err
	}
	tries := append(Matching(named, creds), container.Credential{})
	var failed error
	for _, cred := range tries {
		img, err := s.client.Pull(ctx, name,
			client.WithPullUnpack,
			client.WithPullSnapshotter(s.cfg.Snapshotter),
			client.WithPlatformMatcher(platforms.Default()),
			client.WithResolver(s.resolver(ctx, cred)))
		if err == nil {
			return s.describe(ctx, img)
		}
		failed = errors.Join(failed, err)
		if !unauthorized(err) {
			break
		}
	}
	return container.Image{}, failed
}

func (s *Store) resolver(ctx context.Context, cred container.Credential) remotes.Resolver {
	opts := config.HostOptions{
		DefaultScheme: "https",
		Credentials: func(string) (string, string, error) {
			return cred.Username, cred.Password, nil
		},
	}
	if s.cfg.RegistryHosts != "" {
		opts.HostDir = config.HostDirFromRoot(s.cfg.RegistryHosts)
	}
	base := config.ConfigureHosts(ctx, opts)
	return docker.NewResolver(docker.ResolverOptions{Hosts: func(host string) ([]docker.RegistryHost, error) {
		hosts, err := base(host)
		for i := range hosts {
			if loopback(hosts[i].Host) {
				hosts[i].Scheme = plainIfRefused(hosts[i].Scheme, hosts[i].Host)
			}
		}
		return hosts, err
	}})
}

// plainIfRefused lets registries on this machine speak HTTP without TLS.
func plainIfRefused(scheme, host string) string {
	if scheme != "https" || !strings.Contains(host, ":") {
		return scheme
	}
	resp, err := http.Get("http://" + host + "/v2/") //nolint:noctx // loopback only, answers at once
	if err != nil {
		return scheme
	}
	// Only the status counts; a TLS server answers 400 to plain HTTP.
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusBadRequest {
		return scheme
	}
	return "http"
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Matching chooses the credentials meant for an image's registry, the most
// specific first.
func Matching(named reference.Named, creds []container.Credential) []container.Credential {
	full := named.Name()
	var exact, byHost []container.Credential
	for _, c := range creds {
		key := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(c.Registry, "https://"), "http://"), "/")
		host, path, hasPath := strings.Cut(key, "/")
		if host == "index.docker.io" {
			host, hasPath = "docker.io", false
		}
		ok, err := filepath.Match(host, reference.Domain(named))
		switch {
		case err != nil || !ok:
		case !hasPath || path == "v1" || path == "v2":
			byHost = append(byHost, c)
		case strings.HasPrefix(full+"/", host+"/"+path+"/"):
			exact = append(exact, c)
		}
	}
	return append(exact, byHost...)
}

func unauthorized(err error) bool {
	return errors.Is(err, docker.ErrInvalidAuthorization) || errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) ||
		strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "403")
}

// cause drops nothing, but says first what a person needs to know.
func cause(err error) error {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return fmt.Errorf("the registry %s cannot be found: %w", dns.Name, err)
	case errdefs.IsNotFound(err):
		return fmt.Errorf("not found: %w", err)
	}
	return err
}
