package proxy

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pintle-io/pintle/runtime/ruleset"
)

// snapshot is the state of the informers: Services, and their slices by
// namespace/name, each in a fixed order.
type snapshot struct {
	services []*corev1.Service
	slices   map[string][]*discoveryv1.EndpointSlice
}

// part is what one Service adds to a table, with what that follows from.
type part struct {
	service *corev1.Service
	slices  []*discoveryv1.EndpointSlice
	ports   []servicePort
	rules   ruleset.Ruleset
}

// assembly is the Ruleset of all Services put together of a part for each, so that a
// change costs what it changes and not what there is. Chains and sets belong to one
// Service each; an element of a shared map may be claimed by several (an address that
// two Services name, an endpoint of two), and the first by name has it.
type assembly struct {
	parts  map[string]*part
	claims map[ruleset.Key][]claim // in the order of services
}

type claim struct{ service, value string }

func newAssembly() *assembly {
	return &assembly{parts: map[string]*part{}, claims: map[ruleset.Key][]claim{}}
}

// changes decides the parts that are not what the snapshot says; nil for one that is
// to go. Objects of informers are never changed in place, so the same pointer is the
// same object.
func (a *assembly) changes(s snapshot, build func(*corev1.Service, []*discoveryv1.EndpointSlice) *part) map[string]*part {
	out, present := map[string]*part{}, map[string]bool{}
	for _, svc := range s.services {
		name := svc.Namespace + "/" + svc.Name
		present[name] = true
		if had := a.parts[name]; had == nil || had.service != svc || !slices.Equal(had.slices, s.slices[name]) {
			out[name] = build(svc, s.slices[name])
		}
	}
	for name := range a.parts {
		if !present[name] {
			out[name] = nil
		}
	}
	return out
}

// step is the part of the Ruleset, and the ports, that a change touches: before it
// and after.
type step struct {
	old, cur           ruleset.Ruleset
	oldPorts, curPorts []servicePort
}

// replace puts the parts in and answers what that changes.
func (a *assembly) replace(changed map[string]*part) step {
	s := step{old: ruleset.New(), cur: ruleset.New()}
	touched := map[ruleset.Key]bool{}
	names := slices.Sorted(maps.Keys(changed))
	for _, name := range names {
		if had := a.parts[name]; had != nil {
			s.oldPorts = append(s.oldPorts, had.ports...)
			addOwn(s.old, had.rules)
			note(touched, had.rules)
		}
		if now := changed[name]; now != nil {
			s.curPorts = append(s.curPorts, now.ports...)
			addOwn(s.cur, now.rules)
			note(touched, now.rules)
		}
	}
	a.read(touched, s.old)
	for _, name := range names {
		a.put(name, changed[name])
	}
	a.read(touched, s.cur)
	return s
}

func note(touched map[ruleset.Key]bool, rs ruleset.Ruleset) {
	for k := range rs.Elements {
		touched[k] = true
	}
}

// addOwn adds what belongs to one Service alone.
func addOwn(to, of ruleset.Ruleset) {
	maps.Copy(to.Chains, of.Chains)
	maps.Copy(to.Sets, of.Sets)
}

// read sets the elements to what they hold now.
func (a *assembly) read(keys map[ruleset.Key]bool, into ruleset.Ruleset) {
	for k := range keys {
		if claims := a.claims[k]; len(claims) > 0 {
			into.Elements[k] = claims[0].value
		}
	}
}

func (a *assembly) put(name string, now *part) {
	if had := a.parts[name]; had != nil {
		for k := range had.rules.Elements {
			a.unclaim(k, name)
		}
	}
	if now == nil {
		delete(a.parts, name)
		return
	}
	a.parts[name] = now
	for k, value := range now.rules.Elements {
		a.claim(k, claim{name, value})
	}
}

func (a *assembly) find(k ruleset.Key, service string) (int, bool) {
	return slices.BinarySearchFunc(a.claims[k], service, func(c claim, s string) int { return cmp.Compare(c.service, s) })
}

func (a *assembly) claim(k ruleset.Key, c claim) {
	at, _ := a.find(k, c.service)
	a.claims[k] = slices.Insert(a.claims[k], at, c)
}

func (a *assembly) unclaim(k ruleset.Key, service string) {
	at, ok := a.find(k, service)
	if !ok {
		return
	}
	if rest := slices.Delete(a.claims[k], at, at+1); len(rest) > 0 {
		a.claims[k] = rest
	} else {
		delete(a.claims, k)
	}
}
