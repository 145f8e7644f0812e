#include "kernel/sink.h"

#include "core/base.h"

void probes_init(probes *p) {
  list_init(&p->sinks);
  p->mask = 0;
}

void probe_update(probes *p) {
  p->mask = 0;
  for (list *link = p->sinks.next; link != &p->sinks; link = link->next) {
    const probe_sink *sink = container_of(link, probe_sink, link);
    p->mask |= sink->wants;
    /* The clock is read where a slice begins. */
    if (sink->timed) p->mask |= PROBE_BIT(PROBE_START);
  }
}

void probe_add_sink(probes *p, probe_sink *sink) {
  list_init(&sink->link);
  list_prepend(&p->sinks, &sink->link);
  probe_update(p);
}

void probe_remove_sink(probes *p, probe_sink *sink) {
  list_remove(&sink->link);
  probe_update(p);
}
