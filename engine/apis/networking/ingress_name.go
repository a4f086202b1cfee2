package networking

import networkingv1 "k8s.io/api/networking/v1"

// IngressController is what the IngressClass of the built-in controller names.
const IngressController = "pintle.io/ingress"

// classAnnotation is the deprecated way to name the class of an ingress.
const classAnnotation = "kubernetes.io/ingress.class"

// ClassOf is the name of an ingress's class; empty if it has none.
func ClassOf(i *networkingv1.Ingress) string {
	if i.Spec.IngressClassName != nil {
		return *i.Spec.IngressClassName
	}
	return i.Annotations[classAnnotation]
}
