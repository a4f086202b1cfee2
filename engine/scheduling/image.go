package scheduling

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/wasm/abi"
)

// Image sizes between which locality scores rise from 0 to 100, the upper one per
// container.
const (
	imageMin = 23 << 20
	imageMax = 1000 << 20
)

// imageTable knows which nodes have which images.
type imageTable struct {
	nodes   map[string]map[string]int64 // image name -> node -> size
	of      map[string][]string         // node -> image names
	sets    map[string]*imageSet
	version uint64
}

// imageSet is the score column of one list of images.
type imageSet struct {
	index   int
	version uint64
}

// set takes note of the images of a node.
func (t *imageTable) set(node *corev1.Node) {
	if len(node.Status.Images) == 0 && len(t.of[node.Name]) == 0 {
		return
	}
	t.drop(node)
	if t.nodes == nil {
		t.nodes, t.of, t.sets = map[string]map[string]int64{}, map[string][]string{}, map[string]*imageSet{}
	}
	for _, image := range node.Status.Images {
		for _, name := range image.Names {
			if t.nodes[name] == nil {
				t.nodes[name] = map[string]int64{}
			}
			t.nodes[name][node.Name] = image.SizeBytes
			t.of[node.Name] = append(t.of[node.Name], name)
		}
	}
	t.version++
}

func (t *imageTable) drop(node *corev1.Node) {
	for _, name := range t.of[node.Name] {
		delete(t.nodes[name], node.Name)
		if len(t.nodes[name]) == 0 {
			delete(t.nodes, name)
		}
	}
	delete(t.of, node.Name)
	t.version++
}

// maxImageSets bounds the score columns; beyond it they are all made anew.
const maxImageSets = 256

// imageEntry returns the class's image locality entry, false if no node has any
// of its images.
func (c *cluster) imageEntry(cl *class) (abi.Entry, bool) {
	t := &c.images
	if len(t.nodes) == 0 {
		return abi.Entry{}, false
	}
	names := imageNames(cl.sample)
	if !slices.ContainsFunc(names, func(n string) bool { return len(t.nodes[n]) > 0 }) {
		return abi.Entry{}, false
	}
	id := strings.Join(names, "\x00")
	s, ok := t.sets[id]
	if !ok {
		if len(t.sets) >= maxImageSets {
			clear(t.sets)
		}
		s = &imageSet{index: len(t.sets)}
		t.sets[id] = s
		c.snap.Ensure(abi.Image.Column(s.index), abi.U8)
	}
	column := abi.Image.Column(s.index)
	if s.version != t.version {
		s.version = t.version
		c.writeImages(column, names)
	}
	return abi.Entry{Op: abi.OpImage, Column: column}, true
}

func (c *cluster) writeImages(column abi.ID, names []string) {
	scores := c.snap.U8(column)
	total := float64(max(c.present, 1))
	for row, n := range c.rows {
		scores[row] = 0
		if n == nil {
			continue
		}
		sum := int64(0)
		for _, name := range names {
			if size, ok := c.images.nodes[name][n.name]; ok {
				share := float64(len(c.images.nodes[name])) / total
				sum += int64(float64(size) * share)
			}
		}
		high := int64(imageMax * len(names))
		sum = min(max(sum, imageMin), high)
		scores[row] = uint8(100 * (sum - imageMin) / (high - imageMin))
	}
	c.snap.TouchColumn(column)
}

// imageNames are the pod's images as nodes report them: with a tag.
func imageNames(pod *corev1.Pod) []string {
	var names []string
	add := func(name string) {
		if strings.LastIndex(name, ":") <= strings.LastIndex(name, "/") {
			name += ":latest"
		}
		names = append(names, name)
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			add(containers[i].Image)
		}
	}
	for i := range pod.Spec.Volumes {
		if image := pod.Spec.Volumes[i].Image; image != nil {
			add(image.Reference)
		}
	}
	return names
}
