package nodelifecycle

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/node/topology"
)

// State says how much of a zone answers.
type State int

// The states of a zone. In a partially disrupted zone it is likely that the
// network is at fault, not the nodes; where nothing answers in any zone, it is
// likely this server's.
const (
	Normal State = iota
	PartiallyDisrupted
	FullyDisrupted
)

// What upstream's flags of the same meaning have by default.
const (
	evictionRate          = 0.1 // nodes a second
	secondaryRate         = 0.01
	unhealthyThreshold    = 0.55
	largeZone             = 50
	leastForPartialOutage = 3
	excludeLabel          = "node.kubernetes.io/exclude-disruption"
)

// StateOf judges a zone by how many of its nodes are ready.
func StateOf(ready, notReady int) State {
	switch {
	case ready == 0 && notReady > 0:
		return FullyDisrupted
	case notReady >= leastForPartialOutage && float64(notReady)/float64(notReady+ready) >= unhealthyThreshold:
		return PartiallyDisrupted
	}
	return Normal
}

// Rate is how many nodes of a zone may be emptied in a second; zero is none.
func Rate(state State, size int) float64 {
	switch {
	case state != PartiallyDisrupted:
		return evictionRate
	case size > largeZone:
		return secondaryRate
	}
	return 0
}

// Turn answers whether a node may be emptied now. If not, Wait says when to ask
// again; zero is when the state of the zones changes.
type Turn struct {
	Granted bool
	Wait    time.Duration
}

// Zones counts nodes by zone and gives each zone its turns. It is not safe for
// concurrent use.
type Zones struct {
	members map[string]member
	zones   map[string]*zone
}

type member struct {
	zone  string
	ready bool
}

type zone struct {
	ready, notReady int
	last            time.Time
	// holder is who had the last turn; it keeps it until another has one.
	holder string
}

// NewZones returns Zones without nodes.
func NewZones() *Zones { return &Zones{members: map[string]member{}, zones: map[string]*zone{}} }

// Note counts a node as it is now and reports whether that changed the state of a
// zone, or whether any zone answers.
func (z *Zones) Note(node *corev1.Node) (changed bool) {
	c := ready(node)
	now := member{topology.GetZoneKey(node), c != nil && c.Status == corev1.ConditionTrue}
	if was, ok := z.members[node.Name]; ok && was == now {
		return false
	}
	if _, excluded := node.Labels[excludeLabel]; excluded {
		return z.Forget(node.Name)
	}
	disrupted, before := z.AllDisrupted(), z.state(now.zone)
	left := z.Forget(node.Name)
	z.members[node.Name] = now
	if z.zones[now.zone] == nil {
		z.zones[now.zone] = &zone{}
	}
	z.count(now, 1)
	return left || disrupted != z.AllDisrupted() || before != z.state(now.zone)
}

// Forget takes out a node that is gone.
func (z *Zones) Forget(name string) (changed bool) {
	was, ok := z.members[name]
	if !ok {
		return false
	}
	disrupted, before := z.AllDisrupted(), z.state(was.zone)
	delete(z.members, name)
	z.count(was, -1)
	return disrupted != z.AllDisrupted() || before != z.state(was.zone)
}

func (z *Zones) count(m member, by int) {
	if m.ready {
		z.zones[m.zone].ready += by
	} else {
		z.zones[m.zone].notReady += by
	}
}

func (z *Zones) state(name string) State {
	if at := z.zones[name]; at != nil {
		return StateOf(at.ready, at.notReady)
	}
	return Normal
}

// AllDisrupted reports that no node of any zone answers: then none is emptied.
func (z *Zones) AllDisrupted() bool {
	any := false
	for _, at := range z.zones {
		if at.ready > 0 {
			return false
		}
		any = any || at.notReady > 0
	}
	return any
}

// Take asks for a turn for a node that was noted.
func (z *Zones) Take(node *corev1.Node, now time.Time) Turn {
	at := z.zones[topology.GetZoneKey(node)]
	switch {
	case z.AllDisrupted():
		return Turn{}
	case at == nil || at.holder == node.Name:
		return Turn{Granted: true}
	}
	rate := Rate(StateOf(at.ready, at.notReady), at.ready+at.notReady)
	if rate == 0 {
		return Turn{}
	}
	if next := at.last.Add(time.Duration(float64(time.Second) / rate)); !at.last.IsZero() && now.Before(next) {
		return Turn{Wait: next.Sub(now)}
	}
	at.last, at.holder = now, node.Name
	return Turn{Granted: true}
}

// Release gives a turn back for another time: the node has its taint, or needs none.
func (z *Zones) Release(node *corev1.Node) {
	if at := z.zones[topology.GetZoneKey(node)]; at != nil && at.holder == node.Name {
		at.holder = ""
	}
}
