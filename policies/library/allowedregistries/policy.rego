package k8sallowedregistries

# Images must come from one of the registries (or repositories below them).
# parameters: {"registries": [string]}

violation contains {"msg": message, "details": {
	"field": sprintf("spec.%s[%s].image", [list, container.name]),
	"cure": sprintf("use an image of %s", [concat(", ", input.parameters.registries)]),
}} if {
	some list in ["containers", "initContainers", "ephemeralContainers"]
	some container in object.get(pod, list, [])
	not allowed(container.image)
	message := sprintf("image %s comes from a registry that is not allowed", [container.image])
}

pod := input.review.object.spec.template.spec

pod := input.review.object.spec if not input.review.object.spec.template

allowed(image) if {
	some registry in input.parameters.registries
	startswith(qualified(image), sprintf("%s/", [trim_suffix(registry, "/")]))
}

# A name without a registry is Docker Hub's; one without a path is in its library.
qualified(image) := image if has_registry(image)

qualified(image) := sprintf("docker.io/%s", [image]) if {
	not has_registry(image)
	contains(image, "/")
}

qualified(image) := sprintf("docker.io/library/%s", [image]) if not contains(image, "/")

has_registry(image) if {
	parts := split(image, "/")
	count(parts) > 1
	regex.match(`[.:]|^localhost$`, parts[0])
}
