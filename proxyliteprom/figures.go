package proxyliteprom

import "github.com/prometheus/client_golang/prometheus"

// figure is one number of S, which has many. Figures of one name differ in
// the value of a label.
type figure[S any] struct {
	name, help   string
	label, value string
	kind         prometheus.ValueType
	of           func(S) float64
}

// figures collects all numbers of an S.
type figures[S any] struct {
	read  func() S
	list  []figure[S]
	descs []*prometheus.Desc // of list
}

func newFigures[S any](read func() S, list []figure[S], of prometheus.Labels) *figures[S] {
	c := &figures[S]{read: read, list: list}
	for _, f := range list {
		var labels []string
		if f.label != "" {
			labels = []string{f.label}
		}
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, labels, of))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *figures[S]) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *figures[S]) Collect(metrics chan<- prometheus.Metric) {
	s := c.read()
	for i, f := range c.list {
		var labels []string
		if f.label != "" {
			labels = []string{f.value}
		}
		metrics <- prometheus.MustNewConstMetric(c.descs[i], f.kind, f.of(s), labels...)
	}
}
