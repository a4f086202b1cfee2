package k8scontainerlimits

# Containers must limit what they use, and not above a maximum.
# parameters: {"cpu": quantity, "memory": quantity}

violation contains {"msg": message, "details": {
	"field": sprintf("spec.%s[%s].resources.limits.%s", [list, container.name, resource]),
	"cure": sprintf("set a limit of at most %s", [maximum]),
}} if {
	some list in ["containers", "initContainers"]
	some container in object.get(pod, list, [])
	some resource, maximum in input.parameters
	limit := object.get(container, ["resources", "limits", resource], "none")
	exceeds(resource, limit, maximum)
	message := sprintf("the %s limit is %v", [resource, limit])
}

pod := input.review.object.spec.template.spec

pod := input.review.object.spec if not input.review.object.spec.template

exceeds(_, "none", _)

exceeds("cpu", limit, maximum) if {
	limit != "none"
	cores(limit) > cores(maximum)
}

exceeds("memory", limit, maximum) if {
	limit != "none"
	units.parse_bytes(sprintf("%v", [limit])) > units.parse_bytes(sprintf("%v", [maximum]))
}

cores(quantity) := units.parse(sprintf("%v", [quantity]))
