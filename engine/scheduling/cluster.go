package scheduling

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/pintle-io/pintle/wasm/abi"
)

// cluster is the state that placement reads: nodes, the pods on them (assumed
// ones too), and the snapshot's columns, kept in step by every method. What a
// column means is decided by dictionaries: of resources, taints, topology keys,
// terms, masks, ports. version changes whenever one of them does, and with it the
// compiled form of every class.
type cluster struct {
	snap       *abi.Snapshot
	namespaces corelisters.NamespaceLister
	defaults   defaults
	volumes    volumes
	admitting  *mask // nodes that the claims of the class being placed admit

	nodes    map[string]*nodeInfo
	rows     []*nodeInfo // by row; nil where no node is
	freeRows []int
	present  int // rows with a node
	pods     map[types.UID]*podInfo
	classes  map[string]*class
	idle     int // classes without users
	// priorities counts the pods on nodes by priority.
	priorities map[int32]int

	slots   map[corev1.ResourceName]int
	taints  taintTable
	keys    map[string]*topologyKey
	terms   map[string]*term
	masks   map[string]*mask
	ports   portTable
	sums    map[sumID]*sum
	images  imageTable
	termIDs indexes
	maskIDs indexes
	version uint64
}

// nodeInfo is one node name: the node, if it exists, and the pods on it.
type nodeInfo struct {
	name string
	node *corev1.Node // nil while only pods name it
	row  int          // -1 without a node
	pods map[types.UID]*podInfo

	allocatable      []int64 // by resource slot
	requested        []int64 // by resource slot
	scoreCPU, scoreM int64
	ports            map[hostPort]int

	nominee types.UID // the pod that others on this node were evicted for
}

// podInfo is a pod that takes room on a node.
type podInfo struct {
	pod     *corev1.Pod
	class   *class
	node    *nodeInfo
	assumed bool // chosen, but the API does not say so yet
	doomed  bool // deleted to make room for another pod
}

func newCluster() *cluster {
	c := &cluster{
		snap:  abi.NewSnapshot(0),
		nodes: map[string]*nodeInfo{}, pods: map[types.UID]*podInfo{}, classes: map[string]*class{},
		priorities: map[int32]int{},
		slots: map[corev1.ResourceName]int{
			corev1.ResourceCPU: abi.SlotCPU, corev1.ResourceMemory: abi.SlotMemory,
			corev1.ResourceEphemeralStorage: abi.SlotStorage, corev1.ResourcePods: abi.SlotPods,
		},
		keys: map[string]*topologyKey{}, terms: map[string]*term{}, masks: map[string]*mask{}, sums: map[sumID]*sum{},
	}
	c.snap.Ensure(abi.Flags.Column(0), abi.U8)
	for slot := range abi.SlotExtended {
		c.ensureSlot(slot)
	}
	for slot := range 2 {
		c.snap.Ensure(abi.ScoreFree.Column(slot), abi.I64)
	}
	c.ensureTaintWords(1)
	c.admitting = c.mask("volumes", func(*corev1.Node) bool { return true })
	return c
}

func (c *cluster) ensureSlot(slot int) {
	c.snap.Ensure(abi.Alloc.Column(slot), abi.I64)
	c.snap.Ensure(abi.Free.Column(slot), abi.I64)
}

// slot returns the number of a resource, which is new if it must be.
func (c *cluster) slot(name corev1.ResourceName) int {
	slot, ok := c.slots[name]
	if !ok {
		slot = len(c.slots)
		c.slots[name] = slot
		c.ensureSlot(slot)
		for _, n := range c.rows {
			if n != nil {
				c.writeResources(n)
			}
		}
		c.version++
	}
	return slot
}

// info returns the entry of a node name.
func (c *cluster) info(name string) *nodeInfo {
	n, ok := c.nodes[name]
	if !ok {
		n = &nodeInfo{name: name, row: -1, pods: map[types.UID]*podInfo{}, ports: map[hostPort]int{}}
		c.nodes[name] = n
	}
	return n
}

// setNode takes note of a node as it is now and returns which reasons for having
// refused a pod may no longer hold.
func (c *cluster) setNode(node *corev1.Node) reasons {
	n := c.info(node.Name)
	old := n.node
	n.node = node
	if old == nil {
		c.giveRow(n)
		c.writeRow(n)
		return anyReason
	}
	changed := nodeChange(old, node)
	if changed != 0 {
		c.writeRow(n)
	}
	return changed
}

// nodeChange returns which filters may see the two differently.
func nodeChange(old, node *corev1.Node) reasons {
	var changed reasons
	if !maps.Equal(old.Labels, node.Labels) {
		changed |= reasonSet(abi.ReasonAffinity, abi.ReasonSpread, abi.ReasonPodAffinity, abi.ReasonExisting)
	}
	if old.Spec.Unschedulable != node.Spec.Unschedulable {
		changed |= reasonSet(abi.ReasonUnschedulable)
	}
	if !slices.EqualFunc(old.Spec.Taints, node.Spec.Taints, func(a, b corev1.Taint) bool { return a.MatchTaint(&b) && a.Value == b.Value }) {
		changed |= reasonSet(abi.ReasonTaint)
	}
	if !equality.Semantic.DeepEqual(old.Status.Allocatable, node.Status.Allocatable) {
		changed |= reasonSet(abi.ReasonPods, abi.ReasonCPU, abi.ReasonMemory, abi.ReasonResource)
	}
	if len(old.Status.Images) != len(node.Status.Images) ||
		!slices.EqualFunc(old.Status.Images, node.Status.Images, func(a, b corev1.ContainerImage) bool {
			return a.SizeBytes == b.SizeBytes && slices.Equal(a.Names, b.Names)
		}) {
		changed |= 1 << abi.Reasons // no reason of its own, but the row changes
	}
	return changed
}

// dropNode forgets the node; its pods stay until they are deleted.
func (c *cluster) dropNode(name string) {
	n, ok := c.nodes[name]
	if !ok || n.node == nil {
		return
	}
	c.images.drop(n.node)
	n.node = nil
	c.clearRow(n.row)
	c.rows[n.row] = nil
	c.freeRows = append(c.freeRows, n.row)
	c.present--
	n.row = -1
	c.dirtySums()
	if len(n.pods) == 0 {
		delete(c.nodes, name)
	}
}

func (c *cluster) giveRow(n *nodeInfo) {
	if last := len(c.freeRows) - 1; last >= 0 {
		n.row = c.freeRows[last]
		c.freeRows = c.freeRows[:last]
	} else {
		n.row = len(c.rows)
		c.rows = append(c.rows, nil)
		c.snap.Resize(len(c.rows))
	}
	c.rows[n.row] = n
	c.present++
}

// place accounts for a pod on a node: one that the API says is there, or one that
// was chosen and is assumed to be.
func (c *cluster) place(pod *corev1.Pod, cl *class, node string, assumed bool) {
	c.unplace(pod.UID)
	p := &podInfo{pod: pod, class: cl, node: c.info(node), assumed: assumed}
	c.pods[pod.UID] = p
	p.node.pods[pod.UID] = p
	c.priorities[priorityOf(pod)]++
	c.use(cl)
	c.account(p, 1)
}

// unplace undoes place; false if the pod was on no node.
func (c *cluster) unplace(uid types.UID) bool {
	p, ok := c.pods[uid]
	if !ok {
		return false
	}
	c.account(p, -1)
	if of := priorityOf(p.pod); c.priorities[of] > 1 {
		c.priorities[of]--
	} else {
		delete(c.priorities, of)
	}
	delete(c.pods, uid)
	delete(p.node.pods, uid)
	if p.node.node == nil && len(p.node.pods) == 0 {
		delete(c.nodes, p.node.name)
	}
	c.release(p.class)
	return true
}

// account adds (sign 1) or takes back (-1) what the pod uses, on the node's own
// tally and in the columns.
func (c *cluster) account(p *podInfo, sign int64) {
	n, cl := p.node, p.class
	for _, r := range cl.requests {
		for len(n.requested) <= r.slot {
			n.requested = append(n.requested, 0)
		}
		n.requested[r.slot] += sign * r.value
	}
	n.scoreCPU += sign * cl.scoreCPU
	n.scoreM += sign * cl.scoreM
	for _, port := range cl.ports {
		if n.ports[port] += int(sign); n.ports[port] == 0 {
			delete(n.ports, port)
		}
	}
	if n.row < 0 {
		return
	}
	for _, r := range cl.requests {
		c.snap.I64(abi.Free.Column(r.slot))[n.row] -= sign * r.value
	}
	c.snap.I64(abi.ScoreFree.Column(abi.SlotCPU))[n.row] -= sign * cl.scoreCPU
	c.snap.I64(abi.ScoreFree.Column(abi.SlotMemory))[n.row] -= sign * cl.scoreM
	for _, a := range c.compile(cl).adds {
		delta := int32(sign) * a.amount
		c.snap.I32(abi.Count.Column(a.term.index))[n.row] += delta
		for _, s := range a.term.sums {
			s.add(c, n.row, delta)
		}
	}
	if len(cl.ports) > 0 {
		c.writePorts(n)
	}
	c.snap.Touch(n.row)
}

// use and release count the users of a class; idle classes are kept for a while,
// because the next pod of a workload is like the last.
func (c *cluster) use(cl *class) {
	if cl.users++; cl.users == 1 {
		c.idle--
	}
}

func (c *cluster) release(cl *class) {
	const keepIdle = 256
	cl.users--
	if cl.users > 0 {
		return
	}
	if c.idle++; c.idle <= keepIdle {
		return
	}
	for sign, old := range c.classes {
		if old.users == 0 {
			delete(c.classes, sign)
			c.dropClass(old)
		}
	}
	c.idle = 0
}

// classOf returns the class of a pod. Its user count is the caller's to change.
func (c *cluster) classOf(pod *corev1.Pod) *class {
	sign := signature(pod)
	spreads := c.defaults.selector(sign, pod)
	if spreads != nil {
		sign += "\x00spread\x00" + spreads.String()
	}
	cl, ok := c.classes[sign]
	if !ok {
		cl = newClass(sign, pod, c.slot)
		cl.spreads = spreads
		c.classes[sign] = cl
		c.idle++
		c.addNeeds(cl)
	}
	return cl
}
