// Package bootstrapsigner signs the ConfigMap cluster-info of kube-public with the
// bootstrap tokens that are meant for it, so that who joins with a token can tell
// that the cluster's address and root certificate are the right ones.
package bootstrapsigner

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// What is signed, and where signatures and tokens are: published names.
const (
	Namespace  = "kube-public"
	Name       = "cluster-info"
	content    = "kubeconfig"
	signature  = "jws-kubeconfig-"
	secretType = corev1.SecretType("bootstrap.kubernetes.io/token")
	secretName = "bootstrap-token-"
)

// Observed is the snapshot of the ConfigMap and all bootstrap tokens.
type Observed struct {
	ConfigMap *corev1.ConfigMap
	Tokens    []*corev1.Secret
	Now       time.Time
}

// Plan brings the signatures up to date and takes away those of tokens that are no
// more.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	text, ok := o.ConfigMap.Data[content]
	if !ok {
		return result
	}
	updated := o.ConfigMap.DeepCopy()
	maps.DeleteFunc(updated.Data, func(key, _ string) bool { return strings.HasPrefix(key, signature) })
	for _, token := range o.Tokens {
		if id, secret, ok := o.signs(&result, token); ok {
			updated.Data[signature+id] = Sign(text, id, secret)
		}
	}
	if !maps.Equal(updated.Data, o.ConfigMap.Data) {
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}

// signs returns a token that may sign now, and asks to look again when it ends.
func (o *Observed) signs(result *reconcile.Result, token *corev1.Secret) (id, secret string, ok bool) {
	data := func(key string) string { return string(token.Data[key]) }
	id, secret = data("token-id"), data("token-secret")
	if token.Type != secretType || id == "" || secret == "" || token.Name != secretName+id || data("usage-bootstrap-signing") != "true" {
		return "", "", false
	}
	if data("expiration") == "" {
		return id, secret, true
	}
	end, err := time.Parse(time.RFC3339, data("expiration"))
	if err != nil || !o.Now.Before(end) {
		return "", "", false
	}
	result.RequeueIn(end.Sub(o.Now))
	return id, secret, true
}

// Sign is the detached JWS (RFC 7515, appendix F) of text by HS256 with the token.
func Sign(text, id, secret string) string {
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		Key       string `json:"kid"`
	}{"HS256", id})
	if err != nil {
		panic(err) // two strings
	}
	b64 := base64.RawURLEncoding.EncodeToString
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(b64(header) + "." + b64([]byte(text))))
	return b64(header) + ".." + b64(mac.Sum(nil))
}
