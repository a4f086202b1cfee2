package authn

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	corev1listers "k8s.io/client-go/listers/core/v1"
)

// The published format of bootstrap token secrets.
const (
	BootstrapSecretType = corev1.SecretType("bootstrap.kubernetes.io/token")

	BootstrapSecretPrefix = "bootstrap-token-"
	BootstrapUserPrefix   = "system:bootstrap:"
	BootstrapGroup        = "system:bootstrappers"

	keyID         = "token-id"
	keySecret     = "token-secret"
	keyExpiration = "expiration"
	keyGroups     = "auth-extra-groups"
	keyUsage      = "usage-bootstrap-authentication"
)

var (
	tokenPattern = regexp.MustCompile(`\A([a-z0-9]{6})\.([a-z0-9]{16})\z`)
	groupPattern = regexp.MustCompile(`\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z`)
)

// bootstrapTokens authenticates the tokens by which nodes join.
type bootstrapTokens struct {
	secrets corev1listers.SecretNamespaceLister
	now     func() time.Time
}

// AuthenticateToken implements authenticator.Token. What is wrong with a token
// is not told: it is simply not known.
func (b *bootstrapTokens) AuthenticateToken(_ context.Context, token string) (*authenticator.Response, bool, error) {
	match := tokenPattern.FindStringSubmatch(token)
	if match == nil {
		return nil, false, nil
	}
	id, secret := match[1], match[2]
	object, err := b.secrets.Get(BootstrapSecretPrefix + id)
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("get bootstrap token %s: %w", id, err)
	}
	if !b.valid(object, id, secret) {
		return nil, false, nil
	}
	groups, ok := bootstrapGroups(string(object.Data[keyGroups]))
	if !ok {
		return nil, false, nil
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: BootstrapUserPrefix + id, Groups: groups}}, true, nil
}

func (b *bootstrapTokens) valid(object *corev1.Secret, id, secret string) bool {
	data := func(key string) string { return string(object.Data[key]) }
	if object.Type != BootstrapSecretType || object.DeletionTimestamp != nil {
		return false
	}
	if subtle.ConstantTimeCompare([]byte(data(keySecret)), []byte(secret)) != 1 || data(keyID) != id || data(keyUsage) != "true" {
		return false
	}
	if data(keyExpiration) == "" {
		return true
	}
	end, err := time.Parse(time.RFC3339, data(keyExpiration))
	return err == nil && b.now().Before(end)
}

func bootstrapGroups(list string) ([]string, bool) {
	groups := []string{BootstrapGroup}
	if list == "" {
		return groups, true
	}
	for _, g := range strings.Split(list, ",") {
		if !groupPattern.MatchString(g) {
			return nil, false
		}
		groups = append(groups, g)
	}
	return groups, true
}

// NewBootstrapToken draws a token for nodes to join with and the secret that
// makes it known; it is good until the end of life, or for ever if that is zero.
func NewBootstrapToken(now time.Time, life time.Duration) (string, *corev1.Secret) {
	id, secret := draw(6), draw(16)
	data := map[string][]byte{
		keyID:     []byte(id),
		keySecret: []byte(secret),
		keyUsage:  []byte("true"),
		keyGroups: []byte(BootstrapGroup + ":pintle:join"),
	}
	if life > 0 {
		data[keyExpiration] = []byte(now.Add(life).UTC().Format(time.RFC3339))
	}
	return id + "." + secret, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: BootstrapSecretPrefix + id},
		Type:       BootstrapSecretType,
		Data:       data,
	}
}

// draw returns n random characters of the token alphabet, without bias.
func draw(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 0, n)
	var b [1]byte
	for len(out) < n {
		_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		if limit := byte(256 - 256%len(alphabet)); b[0] < limit {
			out = append(out, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(out)
}
