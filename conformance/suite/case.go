package suite

import (
	"context"
	"slices"
)

// Feature names something a cluster must have for a case to make sense.
type Feature string

const (
	// Containers: at least one node runs real containers, and the image that
	// Env.Image names is present on every node.
	Containers Feature = "Containers"
	// TwoNodes: at least two ready, schedulable nodes.
	TwoNodes Feature = "TwoNodes"
	// Decisions: the cluster records its decisions (decisions.pintle.io).
	Decisions Feature = "Decisions"
	// Policies: Rego ConstraintTemplates are enforced.
	Policies Feature = "Policies"
	// Ingress: Ingresses without a class are served, at addresses that can be reached
	// from where the cases run.
	Ingress Feature = "Ingress"
	// DualStack: nodes, pods and Services may have addresses of both families.
	DualStack Feature = "DualStack"
)

// Case is one promise about a cluster, and the code that holds it to it.
type Case struct {
	// Name is area/what, for example "workload/deployment-rolls".
	Name string
	// Promise is the sentence the case proves.
	Promise string
	Needs   []Feature
	// Alone: not beside other cases.
	Alone bool
	// Manifest is the case's YAML, applied by Env.Apply.
	Manifest string
	Run      func(ctx context.Context, e *Env) error
}

// Missing lists what the case needs and have lacks.
func (c Case) Missing(have []Feature) []Feature {
	var missing []Feature
	for _, f := range c.Needs {
		if !slices.Contains(have, f) {
			missing = append(missing, f)
		}
	}
	return missing
}
