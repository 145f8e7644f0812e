#include "telemetry/event.h"

#include <stddef.h>

const char *event_name(unsigned kind) {
  static const char *const names[EVENT_KINDS] = {
      [EVENT_SPAWN] = "spawn",
      [EVENT_TRACE] = "trace",
      [EVENT_START] = "start",
      [EVENT_PARK] = "park",
      [EVENT_YIELD] = "yield",
      [EVENT_WAKE] = "wake",
      [EVENT_END] = "end",
      [EVENT_PANIC] = "panic",
      [EVENT_RECOVER] = "recover",
      [EVENT_UNHANDLED] = "unhandled",
      [EVENT_CANCEL] = "cancel",
      [EVENT_SPAN_BEGIN] = "span_begin",
      [EVENT_SPAN_END] = "span_end",
      [EVENT_LOG] = "log",
      [EVENT_IDLE_BEGIN] = "idle_begin",
      [EVENT_IDLE_END] = "idle_end",
      [EVENT_GC] = "gc",
  };
  return kind < EVENT_KINDS && names[kind] != NULL ? names[kind] : "?";
}
