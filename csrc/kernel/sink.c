#include "kernel/sink.h"

#include "core/base.h"

/* The kinds that the tap hears. */
#define TAPPED (PROBE_BIT(PROBE_START) | PROBE_BIT(PROBE_STOP) | PROBE_BIT(PROBE_WAKE))

void probes_init(probes *p) {
  list_init(&p->sinks);
  p->mask = 0;
  p->told = 0;
  p->tap = NULL;
}

void probe_update(probes *p) {
  p->told = 0;
  for (list *link = p->sinks.next; link != &p->sinks; link = link->next) {
    const probe_sink *sink = container_of(link, probe_sink, link);
    p->told |= sink->wants;
    /* The clock is read where a slice begins. */
    if (sink->timed) p->told |= PROBE_BIT(PROBE_START);
  }
  p->mask = p->told | (p->tap == NULL ? 0 : TAPPED);
}

void probe_set_tap(probes *p, probe_tap *tap) {
  p->tap = tap;
  probe_update(p);
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
