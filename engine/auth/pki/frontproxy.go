package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	fileFrontProxyCA = "front-proxy-ca.pem"
	fileFrontProxy   = "front-proxy-client.pem"
)

// FrontProxyName is the common name by which the API server introduces itself to
// extension servers.
const FrontProxyName = "front-proxy-client"

// FrontProxy returns the file with the client certificate and key for requests on
// behalf of users, and the PEM of its authority. That authority signs nothing else:
// whoever holds one of its certificates may speak for anybody.
func (p *PKI) FrontProxy() (file string, ca []byte, err error) {
	authority, err := p.frontProxyCA()
	if err != nil {
		return "", nil, fmt.Errorf("front proxy authority: %w", err)
	}
	issuer := &PKI{cfg: p.cfg, ca: authority}
	var leaf *identity
	if err := issuer.renewLocked(&leaf, fileFrontProxy, clientTemplate(FrontProxyName, nil)); err != nil {
		return "", nil, err
	}
	return filepath.Join(p.cfg.Dir, fileFrontProxy), authority.certPEM(), nil
}

func (p *PKI) frontProxyCA() (*identity, error) {
	path := filepath.Join(p.cfg.Dir, fileFrontProxyCA)
	data, err := os.ReadFile(path)
	if err == nil {
		return decodeIdentity(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ca, err := newCA(p.cfg.Now())
	if err != nil {
		return nil, err
	}
	if data, err = ca.encode(); err != nil {
		return nil, err
	}
	return ca, writeFile(path, data, os.Getuid(), os.Getgid())
}
