package deployment

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/dump"
	"k8s.io/apimachinery/pkg/util/rand"
)

// Annotations upstream keeps on ReplicaSets (and the first on Deployments).
const (
	RevisionAnnotation = "deployment.kubernetes.io/revision"
	historyAnnotation  = "deployment.kubernetes.io/revision-history"
	desiredAnnotation  = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation      = "deployment.kubernetes.io/max-replicas"
)

// maxHistory bounds the revision history annotation, in bytes.
const maxHistory = 2000

// TemplateHash is the pod-template-hash of a template: FNV-1a over the dumped
// template and the collision count, as upstream computes it.
func TemplateHash(template *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%v", dump.ForHash(*template))
	if collisions != nil {
		raw := make([]byte, 8)
		binary.LittleEndian.PutUint32(raw, uint32(*collisions))
		_, _ = h.Write(raw)
	}
	return rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}

// newReplicaSet makes the ReplicaSet of a Deployment's current template, without
// a size.
func newReplicaSet(d *appsv1.Deployment) *appsv1.ReplicaSet {
	template := d.Spec.Template.DeepCopy()
	hash := TemplateHash(template, d.Status.CollisionCount)
	template.Labels = withLabel(template.Labels, hash)
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = withLabel(selector.MatchLabels, hash)
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name:            setName(d.Name, hash),
			Namespace:       d.Namespace,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, Kind)},
			Labels:          maps.Clone(template.Labels),
		},
		Spec: appsv1.ReplicaSetSpec{
			MinReadySeconds: d.Spec.MinReadySeconds,
			Selector:        selector,
			Template:        *template,
		},
	}
}

// setName joins name and hash within the length of a name.
func setName(name, hash string) string {
	const longest = 253
	if keep := longest - len(hash) - 1; len(name) > keep {
		name = name[:keep]
	}
	return name + "-" + hash
}

func withLabel(in map[string]string, hash string) map[string]string {
	out := make(map[string]string, len(in)+1)
	maps.Copy(out, in)
	out[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	return out
}

// sameTemplate compares templates but for the hash label.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	x, y := a.DeepCopy(), b.DeepCopy()
	delete(x.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(y.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return apiequality.Semantic.DeepEqual(x, y)
}

func olderFirst(a, b *appsv1.ReplicaSet) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

func byRevision(a, b *appsv1.ReplicaSet) int {
	return cmp.Or(cmp.Compare(revisionOf(a), revisionOf(b)), olderFirst(a, b))
}

func revisionOf(rs *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(rs.Annotations[RevisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func maxRevision(sets []*appsv1.ReplicaSet) int64 {
	var n int64
	for _, rs := range sets {
		n = max(n, revisionOf(rs))
	}
	return n
}

// notCopied are annotations of a Deployment that its ReplicaSets do not inherit.
var notCopied = map[string]bool{
	corev1.LastAppliedConfigAnnotation: true,
	RevisionAnnotation:                 true,
	historyAnnotation:                  true,
	desiredAnnotation:                  true,
	maxAnnotation:                      true,
	appsv1.DeprecatedRollbackTo:        true,
}

// annotate gives rs the Deployment's annotations and at least the revision given;
// a revision it had before (this is a rollback) goes to its history. It reports
// whether anything changed.
func annotate(d *appsv1.Deployment, rs *appsv1.ReplicaSet, revision int64) bool {
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	changed := false
	for k, v := range d.Annotations {
		if old, ok := rs.Annotations[k]; notCopied[k] || strings.HasPrefix(k, RolloutAnnotation) || ok && old == v {
			continue
		}
		rs.Annotations[k] = v
		changed = true
	}
	old, had := rs.Annotations[RevisionAnnotation]
	if revisionOf(rs) >= revision {
		return changed
	}
	rs.Annotations[RevisionAnnotation] = strconv.FormatInt(revision, 10)
	if had {
		addHistory(rs, old)
	}
	return true
}

func addHistory(rs *appsv1.ReplicaSet, revision string) {
	var list []string
	if h := rs.Annotations[historyAnnotation]; h != "" {
		list = strings.Split(h, ",")
	}
	list = append(list, revision)
	for len(list) > 1 && len(strings.Join(list, ",")) > maxHistory {
		list = list[1:]
	}
	rs.Annotations[historyAnnotation] = strings.Join(list, ",")
}

func setRevision(d *appsv1.Deployment, revision string) {
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[RevisionAnnotation] = revision
}

func annotated(rs *appsv1.ReplicaSet, key string) (int32, bool) {
	n, err := strconv.ParseInt(rs.Annotations[key], 10, 32)
	return int32(n), err == nil
}

// setSizeAnnotations records what rs is scaled for; it reports a change.
func setSizeAnnotations(d *appsv1.Deployment, rs *appsv1.ReplicaSet) bool {
	want := map[string]string{
		desiredAnnotation: fmt.Sprint(replicas(d)),
		maxAnnotation:     fmt.Sprint(replicas(d) + maxSurge(d)),
	}
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	changed := false
	for k, v := range want {
		if rs.Annotations[k] != v {
			rs.Annotations[k] = v
			changed = true
		}
	}
	return changed
}
