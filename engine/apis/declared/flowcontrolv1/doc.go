// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/flowcontrol/v1

// Package flowcontrolv1 holds the checks that the tags of k8s.io/api/flowcontrol/v1 declare, as the
// published generator writes them. RegisterValidations adds them to a scheme;
// nothing here is written by hand, and nothing runs by itself.
package flowcontrolv1
