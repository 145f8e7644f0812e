// The header in a C++17 program: it is included, its structs are filled, and its functions are linked.
#include <coropanic.h>

#include <cstdio>
#include <lua.hpp>
#include <string>

namespace {

struct greeting {
  std::string text;
};

// () → the text of the running task's greeting, when the host has woken the task
int greet(lua_State *L) {
  static cp_token token;
  token = cp_open_token(L);
  cp_wake_from_thread(token, 1);
  return cp_park(L, token, -1, 0, [](lua_State *thread, int, lua_KContext) {
    cp_current(thread);
    const auto *data = static_cast<greeting *>(cp_data(thread, -1));
    lua_pushlstring(thread, data->text.data(), data->text.size());
    return 1;
  });
}

}  // namespace

int main() {
  lua_State *L = luaL_newstate();
  if (L == nullptr || cp_open(L) != LUA_OK) return 1;
  luaL_openlibs(L);
  cp_spawn_options options{};
  options.size = sizeof options;
  options.name = "greeter";
  options.data = new greeting{"hello from C++"};
  options.free = [](void *data) { delete static_cast<greeting *>(data); };
  lua_register(L, "greet", greet);
  luaL_loadstring(L, "print(greet())");
  if (cp_pspawn(L, 0, &options) != LUA_OK) return 1;
  while (cp_live(L) > 0) cp_pstep(L, 0, nullptr);
  lua_settop(L, 0);
  return cp_close(L) == 1 ? 0 : 1;
}
