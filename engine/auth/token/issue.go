package token

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	jwtid "k8s.io/apiserver/pkg/authentication/token/jwt"
	"k8s.io/apiserver/pkg/warning"
)

const (
	defaultSeconds = 60 * 60
	minSeconds     = 10 * 60
	maxSeconds     = 1 << 32

	// projectedSeconds is the expiry that the ServiceAccount admission plugin
	// asks for. Such tokens live longer than they say, with a warning in the audit
	// log once past it, for clients that do not reload their token.
	projectedSeconds = 60*60 + 7
	extendedLife     = 365 * 24 * time.Hour
)

var tokenRequestKind = schema.GroupKind{Group: authenticationv1.GroupName, Kind: "TokenRequest"}

// Default fills what a TokenRequest leaves open: one hour.
func Default(req *authenticationv1.TokenRequest) {
	if req.Spec.ExpirationSeconds == nil {
		seconds := int64(defaultSeconds)
		req.Spec.ExpirationSeconds = &seconds
	}
}

// Issue answers a TokenRequest for a service account: the create of its token
// subresource. The answer is a copy of req with its status set. Errors are API
// errors.
func (s *Service) Issue(ctx context.Context, namespace, name string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	account, err := get[*corev1.ServiceAccount](ctx, s, serviceAccounts, namespace, name)
	if err != nil {
		return nil, err
	}
	out := req.DeepCopy()
	Default(out)
	if errs := validate(out); len(errs) > 0 {
		return nil, apierrors.NewInvalid(tokenRequestKind, "", errs)
	}
	if uid := out.UID; uid != "" && uid != account.UID {
		return nil, apierrors.NewConflict(tokenRequestKindAsResource, name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", uid, account.UID))
	}
	out.Name, out.Namespace, out.UID = account.Name, account.Namespace, account.UID
	out.CreationTimestamp = metav1.NewTime(s.cfg.Now())
	if len(out.Spec.Audiences) == 0 {
		out.Spec.Audiences = slices.Clone(s.cfg.Audiences)
	}
	bound, err := s.bind(ctx, account, out.Spec.BoundObjectRef)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, account, bound, out); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return out, nil
}

// tokenRequestKindAsResource stands where a resource is wanted, as upstream has it.
var tokenRequestKindAsResource = schema.GroupResource{Group: authenticationv1.GroupName, Resource: "TokenRequest"}

func validate(req *authenticationv1.TokenRequest) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec", "expirationSeconds")
	seconds := *req.Spec.ExpirationSeconds
	if seconds < minSeconds {
		errs = append(errs, field.Invalid(path, seconds, "may not specify a duration less than 10 minutes"))
	}
	if seconds > maxSeconds {
		errs = append(errs, field.Invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"))
	}
	if len(req.Spec.Attestations) > 0 {
		return field.ErrorList{field.Invalid(field.NewPath("spec", "attestations"), req.Spec.Attestations,
			"attestations may only be specified with a webhook bound object reference")}
	}
	return errs
}

// bind checks the object a token shall be bound to and returns its claims.
func (s *Service) bind(ctx context.Context, account *corev1.ServiceAccount, to *authenticationv1.BoundObjectReference) (kubernetesClaims, error) {
	claims := kubernetesClaims{
		Namespace:      account.Namespace,
		ServiceAccount: ref{Name: account.Name, UID: string(account.UID)},
	}
	if to == nil {
		return claims, nil
	}
	switch kind := schema.FromAPIVersionAndKind(to.APIVersion, to.Kind); kind {
	case schema.GroupVersionKind{Version: "v1", Kind: "Pod"}:
		return s.bindPod(ctx, account, to, claims)
	case schema.GroupVersionKind{Version: "v1", Kind: "Secret"}:
		secret, err := get[*corev1.Secret](ctx, s, secrets, account.Namespace, to.Name)
		if err != nil {
			return claims, err
		}
		claims.Secret = &ref{Name: secret.Name, UID: string(secret.UID)}
		return claims, sameUID("Secret", to, secret.UID)
	case schema.GroupVersionKind{Version: "v1", Kind: "Node"}:
		node, err := get[*corev1.Node](ctx, s, nodes, "", to.Name)
		if err != nil {
			return claims, err
		}
		claims.Node = &ref{Name: node.Name, UID: string(node.UID)}
		return claims, sameUID("Node", to, node.UID)
	default:
		return claims, apierrors.NewBadRequest(fmt.Sprintf("cannot bind token to object of type %s", kind))
	}
}

func (s *Service) bindPod(ctx context.Context, account *corev1.ServiceAccount, to *authenticationv1.BoundObjectReference, claims kubernetesClaims) (kubernetesClaims, error) {
	pod, err := get[*corev1.Pod](ctx, s, pods, account.Namespace, to.Name)
	if err != nil {
		return claims, err
	}
	if pod.Spec.ServiceAccountName != account.Name {
		return claims, apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", account.Name))
	}
	claims.Pod = &ref{Name: pod.Name, UID: string(pod.UID)}
	if name := pod.Spec.NodeName; name != "" {
		claims.Node = &ref{Name: name}
		if node, err := get[*corev1.Node](ctx, s, nodes, "", name); err == nil {
			claims.Node.UID = string(node.UID)
		}
	}
	return claims, sameUID("Pod", to, pod.UID)
}

func sameUID(kind string, to *authenticationv1.BoundObjectReference, uid types.UID) error {
	if to.UID == "" || to.UID == uid {
		return nil
	}
	return apierrors.NewConflict(schema.GroupResource{Resource: kind}, to.Name,
		fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", to.UID))
}

// fill signs the token and sets the status.
func (s *Service) fill(ctx context.Context, account *corev1.ServiceAccount, kube kubernetesClaims, out *authenticationv1.TokenRequest) error {
	now := s.cfg.Now()
	life := time.Duration(*out.Spec.ExpirationSeconds) * time.Second
	if longest := s.cfg.MaxLife; longest > 0 && life > longest {
		warning.AddWarning(ctx, "", fmt.Sprintf("requested expiration of %d seconds shortened to %d seconds", *out.Spec.ExpirationSeconds, int64(longest.Seconds())))
		life = longest
		*out.Spec.ExpirationSeconds = int64(life / time.Second)
	}
	said := now.Add(life)
	if *out.Spec.ExpirationSeconds == projectedSeconds && slices.Equal(out.Spec.Audiences, s.cfg.Audiences) && kube.Pod != nil {
		kube.WarnAfter = jwt.NewNumericDate(said)
		life = extendedLife
	}
	claims := jwt.Claims{
		Issuer:    s.cfg.Issuer,
		Subject:   serviceaccount.MakeUsername(account.Namespace, account.Name),
		Audience:  out.Spec.Audiences,
		IssuedAt:  jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now),
		Expiry:    jwt.NewNumericDate(now.Add(life)),
		ID:        uuid.NewString(),
	}
	signed, err := jwt.Signed(s.signer).Claims(claims).Claims(privateClaims{Kubernetes: kube}).Serialize()
	if err != nil {
		return fmt.Errorf("sign token for service account %s/%s: %w", account.Namespace, account.Name, err)
	}
	audit.AddAuditAnnotation(ctx, serviceaccount.IssuedCredentialIDAuditAnnotationKey, jwtid.CredentialIDForJTI(claims.ID))
	out.Status = authenticationv1.TokenRequestStatus{Token: signed, ExpirationTimestamp: metav1.NewTime(said)}
	return nil
}
