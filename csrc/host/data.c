#include "host/data.h"

#include "coropanic.h"

static void free_at_end(runtime *rt, lua_State *L, task_exit *self) {
  (void)L;
  host_data *d = container_of(self, host_data, exit);
  list_remove(&d->link);
  if (d->free != NULL) d->free(d->data);
  mem_free(&rt->memory, d, sizeof(host_data));
}

static void free_all(runtime *rt) {
  list *link;
  while ((link = list_take_first(&rt->host->data)) != NULL) {
    const host_data *d = container_of(link, host_data, link);
    if (d->free != NULL) d->free(d->data);
  }
}

host_data *data_new(runtime *rt, void *data, void (*free)(void *data)) {
  host *h = host_of(rt);
  if (h == NULL) return NULL;
  if (h->data_part.close == NULL) {
    h->data_part.close = free_all;
    runtime_add_part(rt, &h->data_part);
  }
  host_data *d = mem_new(&rt->memory, sizeof(host_data));
  if (d == NULL) return NULL;
  *d = (host_data){.exit.run = free_at_end, .data = data, .free = free};
  list_init(&d->link);
  return d;
}

void data_attach(runtime *rt, task *t, host_data *d) {
  list_append(&rt->host->data, &d->link);
  task_on_end(t, &d->exit);
}

void data_discard(runtime *rt, host_data *d) { mem_free(&rt->memory, d, sizeof(host_data)); }

/* Returns the live task's data; NULL: it has none. */
static host_data *find(const task *t) {
  task_exit *e = t->exits;
  while (e != NULL && e->run != free_at_end) e = e->next;
  return e == NULL ? NULL : container_of(e, host_data, exit);
}

void *cp_data(lua_State *L, int index) {
  const task *t = host_task(L, index);
  const host_data *d = t == NULL || task_ended(t) ? NULL : find(t);
  return d == NULL ? NULL : d->data;
}

int cp_setdata(lua_State *L, int index, void *data, void (*free)(void *data)) {
  task *t = host_task(L, index);
  if (t == NULL || task_ended(t)) return 0;
  runtime *rt = host_find(L);
  host_data *d = data_new(rt, data, free);
  if (d == NULL) return 0;
  host_data *former = find(t);
  if (former != NULL) {
    task_exit_remove(&former->exit);
    free_at_end(rt, L, &former->exit);
  }
  data_attach(rt, t, d);
  return 1;
}
