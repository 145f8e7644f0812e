"""Runs each script in a Lua state of its own, which is closed before the next one is opened, and prints the string
that it returns.

usage: reload.py SCRIPT...
"""

import ctypes
import sys

lua = ctypes.CDLL("liblua5.4.so.0", mode=ctypes.RTLD_GLOBAL)
lua.luaL_newstate.restype = ctypes.c_void_p
lua.lua_tolstring.restype = ctypes.c_char_p


def run(script):
    state = ctypes.c_void_p(lua.luaL_newstate())
    lua.luaL_openlibs(state)
    failed = lua.luaL_loadstring(state, script) or lua.lua_pcallk(
        state, 0, 1, 0, ctypes.c_ssize_t(0), None)
    print(lua.lua_tolstring(state, -1, None).decode())
    lua.lua_close(state)
    return failed


sys.exit(any([run(script.encode()) for script in sys.argv[1:]]))
