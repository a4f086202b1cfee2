// Package ruleset is the changing part of an nftables table as data, and the smallest
// transaction from one state of it to the next. It decides nothing about packets and
// runs nothing: Service rules and network policies are its users.
//
// A Ruleset is a value to read; who builds one owns it.
package ruleset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/knftables"
)

// maxClients bounds what rules put into a Set by themselves.
const maxClients = 65535

// Key identifies an element of a map or set.
type Key struct {
	In  string // map or set
	Key string // parts joined by " . "
}

// Set is a set that comes and goes; shared ones are part of the table's base.
type Set struct {
	Type string
	// Timeout, if set, is how long what rules put into it stays.
	Timeout time.Duration
}

// Ruleset is sets, chains and elements by name. A set that is replaced must get
// another name if its type changes.
type Ruleset struct {
	// Elements: of maps with their value, of sets with "".
	Elements map[Key]string
	// Chains: the rules of each, in order.
	Chains map[string][]string
	Sets   map[string]Set
}

// New is an empty Ruleset.
func New() Ruleset {
	return Ruleset{Elements: map[Key]string{}, Chains: map[string][]string{}, Sets: map[string]Set{}}
}

// Empty says that there is nothing in it.
func (rs Ruleset) Empty() bool { return len(rs.Elements)+len(rs.Chains)+len(rs.Sets) == 0 }

// String lists the Ruleset in a fixed order, for tests and debugging.
func (rs Ruleset) String() string {
	var sb strings.Builder
	for _, k := range sorted(rs.Elements) {
		fmt.Fprintln(&sb, strings.TrimSpace(k.In+": "+k.Key+" "+rs.Elements[k]))
	}
	for _, name := range slices.Sorted(maps.Keys(rs.Sets)) {
		fmt.Fprintf(&sb, "set %s", name)
		if t := rs.Sets[name].Timeout; t > 0 {
			fmt.Fprintf(&sb, " timeout %s", t)
		}
		fmt.Fprintln(&sb)
	}
	for _, name := range slices.Sorted(maps.Keys(rs.Chains)) {
		fmt.Fprintf(&sb, "chain %s\n", name)
		for _, rule := range rs.Chains[name] {
			fmt.Fprintf(&sb, "  %s\n", rule)
		}
	}
	return sb.String()
}

// Diff writes the difference between two Rulesets into the transaction and answers
// whether there is one. The order matters: what is referred to comes before the
// reference, and goes after it.
func Diff(tx *knftables.Transaction, old, cur Ruleset) bool {
	changed := false
	for _, name := range missing(cur.Sets, old.Sets) {
		changed = true
		tx.Add(cur.Sets[name].object(name))
	}
	if diffChains(tx, old.Chains, cur.Chains) {
		changed = true
	}
	staleSets := missing(old.Sets, cur.Sets)
	if diffElements(tx, old.Elements, cur.Elements, staleSets) {
		changed = true
	}
	stale := missing(old.Chains, cur.Chains)
	for _, name := range stale {
		tx.Flush(&knftables.Chain{Name: name})
	}
	for _, name := range stale {
		tx.Delete(&knftables.Chain{Name: name})
	}
	for _, name := range staleSets {
		tx.Delete(old.Sets[name].object(name))
	}
	return changed || len(stale) > 0 || len(staleSets) > 0
}

// diffChains rewrites the chains that are new or other; all of them are there before
// the first rule, which may lead to any.
func diffChains(tx *knftables.Transaction, old, cur map[string][]string) bool {
	var rewrite []string
	for _, name := range slices.Sorted(maps.Keys(cur)) {
		if was, had := old[name]; !had || !slices.Equal(was, cur[name]) {
			rewrite = append(rewrite, name)
			tx.Add(&knftables.Chain{Name: name})
			if had {
				tx.Flush(&knftables.Chain{Name: name})
			}
		}
	}
	for _, name := range rewrite {
		for _, rule := range cur[name] {
			tx.Add(&knftables.Rule{Chain: name, Rule: rule})
		}
	}
	return len(rewrite) > 0
}

func (s Set) object(name string) *knftables.Set {
	out := &knftables.Set{Name: name, Type: s.Type}
	if s.Timeout > 0 {
		out.Flags = []knftables.SetFlag{knftables.DynamicFlag, knftables.TimeoutFlag}
		out.Timeout, out.Size = &s.Timeout, knftables.PtrTo[uint64](maxClients)
	}
	return out
}

// diffElements leaves out those of sets that go as a whole.
func diffElements(tx *knftables.Transaction, old, cur map[Key]string, staleSets []string) bool {
	changed := false
	for _, k := range sorted(old) {
		if now, ok := cur[k]; !ok || now != old[k] {
			changed = true
			if _, gone := slices.BinarySearch(staleSets, k.In); !gone {
				tx.Delete(element(k, old[k]))
			}
		}
	}
	for _, k := range sorted(cur) {
		if was, ok := old[k]; !ok || was != cur[k] {
			changed = true
			tx.Add(element(k, cur[k]))
		}
	}
	return changed
}

func element(k Key, value string) *knftables.Element {
	e := &knftables.Element{Key: strings.Split(k.Key, " . ")}
	if value == "" {
		e.Set = k.In
	} else {
		e.Map, e.Value = k.In, []string{value}
	}
	return e
}

func sorted(m map[Key]string) []Key {
	return slices.SortedFunc(maps.Keys(m), func(a, b Key) int {
		return cmp.Or(strings.Compare(a.In, b.In), strings.Compare(a.Key, b.Key))
	})
}

// missing are the keys of a that b lacks, sorted.
func missing[V any](a, b map[string]V) []string {
	var out []string
	for k := range a {
		if _, ok := b[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}
