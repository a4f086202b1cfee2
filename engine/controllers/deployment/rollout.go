package deployment

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/wasm/abi/rollout"
)

// Annotations that choose and follow a rollout beyond RollingUpdate and Recreate.
const (
	// RolloutAnnotation is canary or blue-green. It is also the prefix of the others.
	RolloutAnnotation = "pintle.io/rollout"
	// RolloutPlanAnnotation is its plan, as JSON: see docs/strategies.md.
	RolloutPlanAnnotation = "pintle.io/rollout-plan"
	// RolloutServiceAnnotation names a Service in the namespace whose selector
	// follows the set that serves.
	RolloutServiceAnnotation = "pintle.io/rollout-service"
	// RolloutActionAnnotation is what a person asked for: promote:HASH:STEP,
	// promote:HASH:all, abort:HASH.
	RolloutActionAnnotation = "pintle.io/rollout-action"
	// RolloutStateAnnotation is where the rollout is; it is written here alone.
	RolloutStateAnnotation = "pintle.io/rollout-state"
)

// retryHeld is when a strategy that could not answer is asked again.
const retryHeld = 10 * time.Second

const reasonStaged = "RolloutPaused"

// State is the content of RolloutStateAnnotation.
type State struct {
	Phase   string          `json:"phase"`
	Message string          `json:"message,omitempty"`
	State   json.RawMessage `json:"state,omitempty"`
}

// StateOf reads where the rollout of a Deployment is; it is zero if its kind has no
// steps.
func StateOf(d *appsv1.Deployment) State {
	var s State
	if json.Unmarshal([]byte(d.Annotations[RolloutStateAnnotation]), &s) != nil {
		return State{}
	}
	return s
}

// KindOf is the kind of rollout that a Deployment asks for.
func KindOf(d *appsv1.Deployment) string {
	switch d.Annotations[RolloutAnnotation] {
	case "canary":
		return rollout.Canary
	case "blue-green":
		return rollout.BlueGreen
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return rollout.Recreate
	}
	return rollout.RollingUpdate
}

func stagedKind(kind string) bool { return kind == rollout.Canary || kind == rollout.BlueGreen }

// request is the snapshot that the strategy decides on.
func (p *plan) request(o *Observed) *rollout.Request {
	surge, unavailable := fenceposts(p.d)
	r := &rollout.Request{
		Now: p.now.UnixMilli(), Namespace: p.d.Namespace, Name: p.d.Name, Kind: KindOf(p.d),
		Replicas: replicas(p.d), Surge: surge, Unavailable: unavailable, Total: p.d.Status.Replicas,
		Paused: p.d.Spec.Paused, OldPodsLeft: o.OldPodsLeft, TimedOut: p.timedOut(),
	}
	r.Resized = !r.Paused && p.resized()
	if p.newRS != nil {
		set := setOf(p.newRS)
		r.New = &set
	}
	for _, rs := range p.old {
		r.Old = append(r.Old, setOf(rs))
	}
	if stagedKind(r.Kind) {
		r.Action, r.Results = p.d.Annotations[RolloutActionAnnotation], o.Results
		if plan := p.d.Annotations[RolloutPlanAnnotation]; json.Valid([]byte(plan)) {
			r.Plan = json.RawMessage(plan)
		}
		r.State = StateOf(p.d).State
	}
	return r
}

// timedOut reports that the deadline passed for the set that is rolled out now.
func (p *plan) timedOut() bool {
	c := condition(&p.was.Status, appsv1.DeploymentProgressing)
	return p.newRS != nil && c != nil && c.Reason == reasonTimedOut && strings.Contains(c.Message, strconv.Quote(p.newRS.Name))
}

func setOf(rs *appsv1.ReplicaSet) rollout.Set {
	set := rollout.Set{
		Name: rs.Name, Hash: rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey], Created: rs.CreationTimestamp.UnixMilli(),
		Size: size(rs), Pods: rs.Status.Replicas, Available: available(rs), Seen: !unobserved(rs),
	}
	if n, ok := annotated(rs, desiredAnnotation); ok {
		set.Desired = &n
	}
	if n, ok := annotated(rs, maxAnnotation); ok {
		set.Max = &n
	}
	return set
}

// CheckAnswer believes an answer or says what is wrong with it: sets it does not
// know, more pods than the surge allows, or fewer than must be available.
func CheckAnswer(r *rollout.Request, a *rollout.Answer) error {
	if len(a.State) > rollout.MaxState || len(a.Message) > 1024 {
		return fmt.Errorf("the answer is longer than it may be")
	}
	if a.Create && (r.New != nil || a.Size < 0 || a.Size > r.Replicas) {
		return fmt.Errorf("the answer creates a set of %d pods, of %d replicas", a.Size, r.Replicas)
	}
	sizes := map[string]int32{}
	for i := range r.Old {
		sizes[r.Old[i].Name] = r.Old[i].Size
	}
	if r.New != nil {
		sizes[r.New.Name] = r.New.Size
	}
	before, after := int32(0), int32(0)
	for _, n := range sizes {
		before += n
	}
	for _, s := range a.Sizes {
		current, ok := sizes[s.Name]
		if !ok {
			return fmt.Errorf("the answer sizes %q, which is not a set of this Deployment", s.Name)
		}
		if s.Size < 0 || s.Size > max(current, r.Replicas+r.Surge) {
			return fmt.Errorf("the answer gives %s %d pods, of %d replicas", s.Name, s.Size, r.Replicas)
		}
		sizes[s.Name] = s.Size
	}
	for _, n := range sizes {
		after += n
	}
	if least := min(before, r.Replicas-r.Unavailable); r.Kind != rollout.Recreate && after+a.Size < least {
		return fmt.Errorf("the answer leaves %d pods, at least %d must be", after+a.Size, least)
	}
	return nil
}

// follow acts on an answer.
func (p *plan) follow(r *rollout.Request, a *rollout.Answer, service *corev1.Service) {
	advances := !r.Paused && !r.Resized
	p.sizing = r.Resized
	p.pauseCondition()
	if synced := p.syncNew(); p.newRS != nil && !synced && advances && r.Kind != rollout.Recreate {
		return // the set as it is comes first
	}
	if advances {
		p.phase(r, a)
		p.point(service, a.Active)
	}
	if a.Wait > 0 {
		p.RequeueIn(time.Duration(a.Wait) * time.Millisecond)
	}
	for _, s := range a.Sizes {
		for _, rs := range p.all() {
			if rs.Name == s.Name {
				p.scale(rs, s.Size)
			}
		}
	}
	if advances && a.Create {
		p.createNew(a.Size)
		return
	}
	if !r.Resized && (r.Paused || !p.scaled && complete(p.d, &p.was.Status)) {
		p.cleanup()
	}
	p.status()
}

// phase keeps where a rollout in steps is, and says so in the Progressing
// condition: waiting is no lack of progress, and an aborted one has failed.
func (p *plan) phase(r *rollout.Request, a *rollout.Answer) {
	if !stagedKind(r.Kind) {
		delete(p.d.Annotations, RolloutStateAnnotation)
		return
	}
	was := StateOf(p.was)
	text, err := json.Marshal(State{Phase: a.Phase, Message: a.Message, State: a.State})
	if err != nil {
		return // a state that is no JSON was refused before
	}
	if p.d.Annotations == nil {
		p.d.Annotations = map[string]string{}
	}
	p.d.Annotations[RolloutStateAnnotation] = string(text)
	if a.Phase != was.Phase && (a.Phase != rollout.Progressing || was.Phase != "") {
		p.announcePhase(a)
	}
	if !hasDeadline(p.d) {
		return
	}
	switch current := condition(&p.d.Status, appsv1.DeploymentProgressing); {
	case a.Phase == rollout.Aborted:
		p.staged = true
		removeCondition(&p.d.Status, appsv1.DeploymentProgressing)
		c := newCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonTimedOut, "the rollout was aborted: "+a.Message, p.now)
		if current != nil && current.Status == c.Status && current.Message == c.Message {
			c = *current
		}
		setCondition(&p.d.Status, c)
	case a.Phase == rollout.Waiting:
		p.staged = true
		p.progress(corev1.ConditionUnknown, reasonStaged, a.Message)
	case current != nil && current.Reason == reasonStaged:
		p.progress(corev1.ConditionUnknown, reasonResumed, "the rollout goes on")
	}
}

func (p *plan) announcePhase(a *rollout.Answer) {
	kind, reason := corev1.EventTypeNormal, "Rollout"+a.Phase
	if a.Phase == rollout.Aborted {
		kind = corev1.EventTypeWarning
	}
	message := a.Message
	if message == "" {
		message = "the rollout is " + strings.ToLower(a.Phase)
	}
	p.Add(reconcile.Event{About: p.was, Type: kind, Reason: reason, Message: message})
}

// point lets the rollout's Service select the set that serves.
func (p *plan) point(service *corev1.Service, hash string) {
	if service == nil || hash == "" || service.Spec.Selector[appsv1.DefaultDeploymentUniqueLabelKey] == hash {
		return
	}
	changed := service.DeepCopy()
	changed.Spec.Selector = withLabel(changed.Spec.Selector, hash)
	p.Add(reconcile.Update{Object: changed})
}
