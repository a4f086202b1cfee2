// Package autoscaling holds the rules of horizontal pod autoscalers, in their hub
// version autoscaling/v2; package served converts to and from autoscaling/v1.
//
// Every function is safe for concurrent use on distinct objects.
package autoscaling

import "github.com/pintle-io/pintle/engine/apis"

// Resources lists the rows of the autoscaling group.
func Resources() []apis.Resource {
	return []apis.Resource{horizontalPodAutoscalers()}
}
