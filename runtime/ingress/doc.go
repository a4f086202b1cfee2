// Package ingress serves the Ingresses of the built-in class on one node.
//
// It owns two listeners on the node's address, 80 and 443, open only while there is
// an Ingress to serve, and says in an annotation of its Node where it listens; a
// controller of the engine writes that into the Ingresses' status. Ingresses,
// Services, EndpointSlices and TLS Secrets become a Table (Build, pure), which is
// replaced as a whole; a request is matched against the Table of the moment and
// goes straight to an endpoint, past the Service's rules in the kernel.
//
// It never writes Ingresses and reads no Secret that no Ingress of its class names.
//
// Concurrency: one goroutine (Run) builds Tables; requests read the last one
// through an atomic pointer and share nothing else.
package ingress
