/* What the specs of the C API share: states whose memory is counted, and programs in Lua. */
#ifndef SPEC_EMBEDDED_API_H
#define SPEC_EMBEDDED_API_H

#include <coropanic.h>
#include <lauxlib.h>
#include <lualib.h>

#include "../../core/harness.h"

/* Opens a state with the libraries and the module, which scripts find as `co`. */
lua_State *api_open(void);

/* Closes it, and checks that all of its memory is free. */
void api_close(lua_State *L);

/* Runs the program. Checks that it raises nothing. */
void api_run(lua_State *L, const char *program);

/* Steps until nothing is ready. */
void api_settle(lua_State *L);

/* Checks that the program, in Lua, says so: "return x == 1". */
#define api_check(L, program) api_holds(__FILE__, __LINE__, (L), (program))
void api_holds(const char *file, int line, lua_State *L, const char *program);

/* Calls the function with the `arguments` on top; checks that it raises an error with the text. */
#define api_raises(L, arguments, text) \
  api_check_error(__FILE__, __LINE__, (L), lua_pcall((L), (arguments), 0, 0), (text))
void api_check_error(const char *file, int line, lua_State *L, int status, const char *text);

#endif
