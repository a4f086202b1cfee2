package k8sallowedregistries_test

import data.k8sallowedregistries

verdicts(spec, registries) := result if {
	result := k8sallowedregistries.violation with input as {
		"parameters": {"registries": registries},
		"review": {"object": {"spec": spec}},
	}
}

image(name) := {"containers": [{"name": "c", "image": name}]}

test_allowed if count(verdicts(image("registry.example/team/web:1"), ["registry.example"])) == 0

test_allowed_below if count(verdicts(image("registry.example/team/web:1"), ["registry.example/team/"])) == 0

test_other_path if count(verdicts(image("registry.example/other/web:1"), ["registry.example/team"])) == 1

test_name_that_only_begins_alike if count(verdicts(image("registry.example.evil/web"), ["registry.example"])) == 1

test_short_names_are_docker_hub if {
	count(verdicts(image("nginx"), ["docker.io/library"])) == 0
	count(verdicts(image("team/web"), ["docker.io"])) == 0
	count(verdicts(image("nginx"), ["registry.example"])) == 1
}

test_port_and_localhost if {
	count(verdicts(image("localhost/web"), ["localhost"])) == 0
	count(verdicts(image("reg:5000/web"), ["reg:5000"])) == 0
}

test_init_containers if {
	spec := {"containers": [], "initContainers": [{"name": "i", "image": "evil.example/x"}]}
	some v in verdicts(spec, ["registry.example"])
	v.details.field == "spec.initContainers[i].image"
}

test_templates_of_pods if {
	count(verdicts({"template": {"spec": image("evil.example/x")}}, ["registry.example"])) == 1
}
