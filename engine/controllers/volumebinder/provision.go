package volumebinder

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Names of the built-in local provisioner, which makes a directory on the node of
// a claim's first consumer.
//
// The protocol. A node whose agent keeps local volumes says where, in the
// annotation LocalRoot. Before a volume is written, the agent is asked to make its
// directory (PUT /localVolumes/NAME through the node's proxy); when the volume was
// released, it is asked to remove it (DELETE), then the volume's finalizer goes,
// then the volume. All four steps may be repeated. On a node without the
// annotation (one that only reports pods) nothing is made or removed.
const (
	LocalProvisioner = "pintle.io/local"
	LocalRoot        = "pintle.io/local-volumes"
	// nodeAnnotation on a volume names its node.
	nodeAnnotation = "pintle.io/node"
	// defaultRoot is where the volumes of nodes without an annotation would be.
	defaultRoot = "/var/lib/pintle/local"
	// inTree begins the names of provisioners that are part of Kubernetes.
	inTree = "kubernetes.io/"
)

// nodeRetry is how soon a claim is tried again that no node could take.
const nodeRetry = 15 * time.Second

// migrated are the drivers that took over what in-tree provisioners did.
var migrated = map[string]string{
	"kubernetes.io/aws-ebs":         "ebs.csi.aws.com",
	"kubernetes.io/azure-disk":      "disk.csi.azure.com",
	"kubernetes.io/azure-file":      "file.csi.azure.com",
	"kubernetes.io/cinder":          "cinder.csi.openstack.org",
	"kubernetes.io/gce-pd":          "pd.csi.storage.gke.io",
	"kubernetes.io/portworx-volume": "pxd.portworx.com",
	"kubernetes.io/vsphere-volume":  "csi.vsphere.vmware.com",
}

// provision makes a volume, or asks the class's provisioner for one.
func (p *claimPlan) provision() {
	if p.Class == nil {
		p.refuse(fmt.Sprintf("storageclass.storage.k8s.io %q not found", volume.GetPersistentVolumeClaimClass(p.Claim)))
		return
	}
	name := p.Class.Provisioner
	driver, moved := migrated[name]
	switch {
	case name == LocalProvisioner:
		p.provisionLocal()
	case moved:
		if !p.ask(driver, name) {
			p.waitForProvisioner(driver)
		}
	case strings.HasPrefix(name, inTree):
		p.refuse("no volume plugin matched name: " + name)
	default:
		p.ask(name, "")
		p.waitForProvisioner(name)
	}
}

func (p *claimPlan) refuse(message string) {
	p.event(corev1.EventTypeWarning, "ProvisioningFailed", message)
}

// ask names the provisioner in the claim, and the node for a claim whose consumer
// was placed by somebody who does not do so. It reports whether that is a change.
func (p *claimPlan) ask(provisioner, before string) bool {
	updated := p.Claim.DeepCopy()
	set := func(key, value string) bool {
		if updated.Annotations[key] == value {
			return false
		}
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, key, value)
		return true
	}
	changed := set(volume.AnnStorageProvisioner, provisioner)
	if changed {
		set(volume.AnnBetaStorageProvisioner, provisioner)
	}
	if before != "" {
		changed = set(volume.AnnMigratedTo, provisioner) || changed
	}
	if node := p.placed(); p.waits() && !volume.IsDelayBindingProvisioning(p.Claim) && node != nil {
		changed = set(volume.AnnSelectedNode, node.Name) || changed
	}
	if changed {
		p.Add(reconcile.Update{Object: updated})
	}
	return changed
}

func (p *claimPlan) waitForProvisioner(name string) {
	p.event(corev1.EventTypeNormal, "ExternalProvisioning", fmt.Sprintf("Waiting for a volume to be created either by the external provisioner '%s' or "+
		"manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.", name))
}

// provisionLocal writes the claim's annotations, then makes the volume.
func (p *claimPlan) provisionLocal() {
	if why := p.unprovidable(); why != "" {
		p.refuse(why)
		return
	}
	if p.ask(LocalProvisioner, "") {
		return
	}
	name := "pvc-" + string(p.Claim.UID)
	if slices.ContainsFunc(p.Volumes, func(pv *corev1.PersistentVolume) bool { return pv.Name == name }) {
		return // it is there, and belongs to somebody else or is about to be deleted
	}
	node := p.target()
	if node == nil {
		p.withoutNode()
		return
	}
	root, agent := node.Annotations[LocalRoot]
	if agent {
		p.Add(reconcile.Request{Method: http.MethodPut, Path: agentPath(node.Name, name)})
	} else {
		root = defaultRoot
	}
	p.Add(reconcile.Create{
		Object: p.local(name, node, path.Join(root, name)),
		Announce: &reconcile.Announce{About: p.Claim, Done: reconcile.Message{
			Type: corev1.EventTypeNormal, Reason: "ProvisioningSucceeded", Format: "Successfully provisioned volume %s using " + LocalProvisioner,
		}},
	})
	p.OnFailure = func(f reconcile.Failure) []reconcile.Action {
		return []reconcile.Action{reconcile.Event{About: p.Claim, Type: corev1.EventTypeWarning, Reason: "ProvisioningFailed",
			Message: fmt.Sprintf("Failed to provision volume with StorageClass %q: %v", p.Class.Name, f.Err)}}
	}
}

// unprovidable says why the local provisioner cannot make what is asked for.
func (p *claimPlan) unprovidable() string {
	spec := &p.Claim.Spec
	failed := fmt.Sprintf("Failed to provision volume with StorageClass %q: ", p.Class.Name)
	switch {
	case spec.DataSource != nil || spec.DataSourceRef != nil:
		return fmt.Sprintf("plugin %q is not a CSI plugin. Only CSI plugin can provision a claim with a datasource", LocalProvisioner)
	case len(p.Class.MountOptions) > 0:
		return fmt.Sprintf("Mount options are not supported by the provisioner but StorageClass %q has mount options %v", p.Class.Name, p.Class.MountOptions)
	case ptr.Deref(spec.VolumeMode, corev1.PersistentVolumeFilesystem) != corev1.PersistentVolumeFilesystem:
		return failed + LocalProvisioner + " does not provide raw block volumes"
	case spec.Selector != nil:
		return failed + "claim.Spec.Selector is not supported for dynamic provisioning on " + LocalProvisioner
	case ptr.Deref(spec.VolumeAttributesClassName, "") != "":
		return failed + LocalProvisioner + " does not know volume attributes classes"
	}
	for _, mode := range spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return failed + LocalProvisioner + " only supports ReadWriteOnce and ReadWriteOncePod access modes"
		}
	}
	return ""
}

// target is the node the volume goes to: the one selected, or, for a class that
// does not wait, one that takes pods, spread by the claim's UID.
func (p *claimPlan) target() *corev1.Node {
	if name, selected := p.Claim.Annotations[volume.AnnSelectedNode]; selected {
		return p.node(name)
	}
	var able []*corev1.Node
	for _, node := range p.Nodes {
		if takesPods(node) && p.allowed(node) {
			able = append(able, node)
		}
	}
	if len(able) == 0 {
		return nil
	}
	slices.SortFunc(able, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	h := fnv.New32a()
	h.Write([]byte(p.Claim.UID))
	return able[int(h.Sum32()%uint32(len(able)))]
}

func takesPods(node *corev1.Node) bool {
	return node.DeletionTimestamp == nil && !node.Spec.Unschedulable &&
		slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
}

// allowed checks the class's allowedTopologies.
func (p *claimPlan) allowed(node *corev1.Node) bool {
	if len(p.Class.AllowedTopologies) == 0 {
		return true
	}
	return slices.ContainsFunc(p.Class.AllowedTopologies, func(term corev1.TopologySelectorTerm) bool {
		return !slices.ContainsFunc(term.MatchLabelExpressions, func(e corev1.TopologySelectorLabelRequirement) bool {
			return !slices.Contains(e.Values, node.Labels[e.Key])
		})
	})
}

// withoutNode gives the choice back to the scheduler if its node is gone.
func (p *claimPlan) withoutNode() {
	name, selected := p.Claim.Annotations[volume.AnnSelectedNode]
	if !selected {
		p.refuse(fmt.Sprintf("Failed to provision volume with StorageClass %q: no node takes pods", p.Class.Name))
		p.RequeueIn(nodeRetry)
		return
	}
	updated := p.Claim.DeepCopy()
	delete(updated.Annotations, volume.AnnSelectedNode)
	p.Add(reconcile.Update{Object: updated})
	p.refuse(fmt.Sprintf("Failed to get target node: node %q not found", name))
}

// local is the volume for the claim at a path of a node.
func (p *claimPlan) local(name string, node *corev1.Node, at string) *corev1.PersistentVolume {
	claim := p.Claim
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
			volume.AnnBoundByController: "yes", volume.AnnDynamicallyProvisioned: LocalProvisioner, nodeAnnotation: node.Name,
		}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:            claim.Spec.AccessModes,
			StorageClassName:       p.Class.Name,
			VolumeMode:             ptr.To(corev1.PersistentVolumeFilesystem),
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: at}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name,
				UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{hostname(node)},
				}},
			}}}},
			PersistentVolumeReclaimPolicy: ptr.Deref(p.Class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete),
		},
	}
	if pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		pv.Finalizers = []string{volume.PVDeletionInTreeProtectionFinalizer}
	}
	return pv
}

func hostname(node *corev1.Node) string {
	if name := node.Labels[corev1.LabelHostname]; name != "" {
		return name
	}
	return node.Name
}

func agentPath(node, volumeName string) string {
	return "/api/v1/nodes/" + node + "/proxy/localVolumes/" + volumeName
}
