--- The fingerprint of a Lua function: see kernel/fingerprint.h. Each Lua has bytecode of its own form; here
--- are the forms whose fingerprints the guest makes. A function of another form has none, and then its name
--- stands for it in the hash of a stack.

return function() return nil end
