package authn

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// FrontProxy says which proxies may name their users in headers.
type FrontProxy struct {
	// CA is the PEM bundle of the authorities that sign the proxies' certificates.
	CA []byte
	// CAFile is a file of such authorities, read again when it changes, in place of CA.
	CAFile string
	// AllowedNames are common names of those certificates; empty allows all that
	// the authorities signed.
	AllowedNames []string
	// The headers, in the order they are looked for.
	UsernameHeaders, UIDHeaders, GroupHeaders, ExtraHeaderPrefixes []string
}

// DefaultFrontProxy trusts proxies that ca signed under one of the names, with the
// usual headers.
func DefaultFrontProxy(ca []byte, names ...string) FrontProxy {
	return FrontProxy{
		CA: ca, AllowedNames: names,
		UsernameHeaders: []string{"X-Remote-User"}, UIDHeaders: []string{"X-Remote-Uid"},
		GroupHeaders: []string{"X-Remote-Group"}, ExtraHeaderPrefixes: []string{"X-Remote-Extra-"},
	}
}

// RequestHeader is the form upstream's filters and authenticators take.
func (f FrontProxy) RequestHeader() (*authenticatorfactory.RequestHeaderConfig, error) {
	ca, err := f.authorities()
	if err != nil {
		return nil, fmt.Errorf("certificate authority of front proxies: %w", err)
	}
	return &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider:   ca,
		AllowedClientNames:  headerrequest.StaticStringSlice(f.AllowedNames),
		UsernameHeaders:     headerrequest.StaticStringSlice(f.UsernameHeaders),
		UIDHeaders:          headerrequest.StaticStringSlice(f.UIDHeaders),
		GroupHeaders:        headerrequest.StaticStringSlice(f.GroupHeaders),
		ExtraHeaderPrefixes: headerrequest.StaticStringSlice(f.ExtraHeaderPrefixes),
	}, nil
}

func (f FrontProxy) authorities() (dynamiccertificates.CAContentProvider, error) {
	if f.CAFile != "" {
		return dynamiccertificates.NewDynamicCAContentFromFile("request-header", f.CAFile)
	}
	return dynamiccertificates.NewStaticCAContent("request-header", f.CA)
}

// Follow reads the authorities again when their file changes, until ctx ends.
func Follow(ctx context.Context, h *authenticatorfactory.RequestHeaderConfig) error {
	if file, ok := h.CAContentProvider.(dynamiccertificates.ControllerRunner); ok {
		file.Run(ctx, 1)
	}
	return nil
}
