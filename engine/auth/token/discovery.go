package token

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The paths at which discovery is served.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/openid/v1/jwks"
)

// discovery is the OpenID provider configuration, as Kubernetes publishes it.
type discovery struct {
	Issuer        string   `json:"issuer"`
	KeysURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

// Handlers returns the discovery documents by path. keysURI is where others find
// the keys; empty selects KeysPath under the issuer.
func (s *Service) Handlers(keysURI string) (map[string]http.Handler, error) {
	if keysURI == "" {
		keysURI = strings.TrimSuffix(s.cfg.Issuer, "/") + KeysPath
	}
	config, err := json.Marshal(discovery{
		Issuer:        s.cfg.Issuer,
		KeysURI:       keysURI,
		ResponseTypes: []string{"id_token"},
		SubjectTypes:  []string{"public"},
		Algorithms:    []string{string(jose.ES256)},
	})
	if err != nil {
		return nil, fmt.Errorf("encode discovery document: %w", err)
	}
	var set jose.JSONWebKeySet
	for _, id := range s.order {
		set.Keys = append(set.Keys, s.keys[id])
	}
	keys, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	return map[string]http.Handler{
		DiscoveryPath: document("application/json", config),
		KeysPath:      document("application/jwk-set+json", keys),
	}, nil
}

func document(contentType string, data []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(data) // a client that hung up needs no answer
	})
}
