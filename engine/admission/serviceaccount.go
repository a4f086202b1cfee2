package admission

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	corev1listers "k8s.io/client-go/listers/core/v1"
)

const (
	defaultAccount  = "default"
	tokenMountPath  = "/var/run/secrets/kubernetes.io/serviceaccount"
	tokenVolume     = "kube-api-access"
	rootCAConfigMap = "kube-root-ca.crt"
	// tokenSeconds marks tokens that may live longer than they say; see
	// engine/auth/token.
	tokenSeconds = 60*60 + 7
	// accountWait is how long a pod waits for its account: that of a new namespace
	// is made by a controller.
	accountWait = time.Second
)

// serviceAccount gives each pod an account, its token and its pull secrets.
type serviceAccount struct {
	operations
	accounts corev1listers.ServiceAccountLister
}

func newServiceAccount(b *builder) (admission.Interface, error) {
	informer := b.Informers.Core().V1().ServiceAccounts()
	b.uses(informer.Informer())
	return &serviceAccount{onWrite, informer.Lister()}, nil
}

// Admit implements admission.MutationInterface.
func (s *serviceAccount) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	pod, ok := subject[*corev1.Pod](a, podsResource)
	if !ok || a.GetOperation() != admission.Create {
		return nil
	}
	if _, mirror := pod.Annotations[mirrorAnnotation]; mirror {
		return s.Validate(ctx, a, o)
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = defaultAccount
	}
	account, err := s.find(ctx, a.GetNamespace(), pod.Spec.ServiceAccountName)
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	if mountsToken(account, pod) {
		mountToken(pod, a.GetNamespace())
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, account.ImagePullSecrets...)
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (s *serviceAccount) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := subject[*corev1.Pod](a, podsResource)
	if !ok || a.GetOperation() != admission.Create {
		return nil
	}
	if _, mirror := pod.Annotations[mirrorAnnotation]; mirror {
		return mirrorUses(a, pod)
	}
	if _, err := s.find(ctx, a.GetNamespace(), pod.Spec.ServiceAccountName); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

// mirrorUses refuses mirror pods that would reach into the API.
func mirrorUses(a admission.Attributes, pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != "" {
		return admission.NewForbidden(a, errors.New("a mirror pod may not reference service accounts"))
	}
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.Projected != nil {
			for j := range v.Projected.Sources {
				if v.Projected.Sources[j].ServiceAccountToken != nil {
					return admission.NewForbidden(a, errors.New("a mirror pod may not use ServiceAccountToken volume projections"))
				}
			}
		}
	}
	return nil
}

func (s *serviceAccount) find(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	lister := s.accounts.ServiceAccounts(namespace)
	account, err := lister.Get(name)
	if apierrors.IsNotFound(err) && name == defaultAccount {
		// The error of waiting is that of the last look.
		_ = wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, accountWait, true, func(context.Context) (bool, error) {
			account, err = lister.Get(name)
			return !apierrors.IsNotFound(err), nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("error looking up service account %s/%s: %w", namespace, name, err)
	}
	return account, nil
}

func mountsToken(account *corev1.ServiceAccount, pod *corev1.Pod) bool {
	if pod.Spec.AutomountServiceAccountToken != nil {
		return *pod.Spec.AutomountServiceAccountToken
	}
	return account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken
}

// mountToken mounts the token volume into every container that has nothing
// mounted in its place.
func mountToken(pod *corev1.Pod, namespace string) {
	name, existing := volumeName(pod, namespace)
	mounted := false
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			mounted = mountInto(&list[i], name) || mounted
		}
	}
	if mounted && !existing {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: tokenProjection()}})
	}
}

func mountInto(c *corev1.Container, volume string) bool {
	for i := range c.VolumeMounts {
		if c.VolumeMounts[i].MountPath == tokenMountPath {
			return false
		}
	}
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volume, ReadOnly: true, MountPath: tokenMountPath})
	return true
}

// volumeName returns the token volume the pod already has, or a name for a new
// one. The suffix follows from the pod's name, so that a write repeated or tried
// dry gives the same pod.
func volumeName(pod *corev1.Pod, namespace string) (name string, existing bool) {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if strings.HasPrefix(v.Name, tokenVolume+"-") && v.Projected != nil {
			return v.Name, true
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(namespace + "/" + pod.Name + "/" + pod.GenerateName)) // a hash takes any bytes
	suffix := rand.SafeEncodeString(fmt.Sprintf("%05d", h.Sum32()%100000))
	return tokenVolume + "-" + suffix, false
}

func tokenProjection() *corev1.ProjectedVolumeSource {
	mode, seconds := int32(0o644), int64(tokenSeconds)
	return &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: rootCAConfigMap},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}
}
