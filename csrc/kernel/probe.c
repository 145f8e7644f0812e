#include "kernel/probe.h"

#include "kernel/task.h"

/* Whether any sink needs the clock. */
static bool is_timed(const probes *p) {
  for (list *link = p->sinks.next; link != &p->sinks; link = link->next) {
    if (container_of(link, probe_sink, link)->timed) return true;
  }
  return false;
}

void probe_tell(runtime *rt, const probe_event *event) {
  probes *p = &rt->probes;
  if (event->kind == PROBE_START && is_timed(p)) p->slice_ns = runtime_now(rt);
  probe_event told = *event;
  told.slice_ns = p->slice_ns;
  /*
  ** Observers make no spans. A span that ends is the program's, even if an observer has closed its
  ** coroutine.
  */
  if (task_is_muted(rt, event->task) || task_is_muted(rt, rt->current)) {
    told.muted = event->kind != PROBE_SPAN_END;
  }
  list *next;
  for (list *link = p->sinks.next; link != &p->sinks; link = next) {
    probe_sink *sink = container_of(link, probe_sink, link);
    next = link->next; /* the sink may remove itself */
    if ((sink->wants & (PROBE_BIT(told.kind) | PROBE_PENDING)) != 0) sink->write(sink, rt, &told);
  }
}
