// A host for filters by the public specification of the proxy-wasm ABI 0.2.1. It is strict: what a filter may not do
// is a violation, not something to be forgiven. It knows nothing of our filter but its exports.
//
//   const host = await Host.load(bytes, { configuration, random, time });
//   const result = host.exchange({ request, response: { headers, chunks, trailers } });
//
// Headers are lists of [name, value]; bodies are Buffers. `violations` lists what the filter did wrong.

const STATUS = { OK: 0, NOT_FOUND: 1, BAD_ARGUMENT: 2, INVALID_MEMORY_ACCESS: 6, INTERNAL_FAILURE: 10 };
const ERRNO = { SUCCESS: 0, FAULT: 21, INVAL: 28, NOTSUP: 58 };
const CONTINUE = 0, PAUSE = 1;

// By number: what a filter may read or change, and in which callbacks.
const MAPS = ["request headers", "request trailers", "response headers", "response trailers"];
const BUFFERS = ["request body", "response body", "downstream data", "upstream data", "call's body", "call's message",
  "virtual machine's configuration", "plugin's configuration", "arguments"];

// The largest buffer that random numbers are given for at once.
const MAX_RANDOM = 65536;

class Log {
  constructor(level, bytes) { Object.assign(this, { level, bytes }); }

  get text() { return this.bytes.toString(); }
}

export class Host {
  violations = [];
  logs = [];
  calls = {}; // how often each import was called
  #fail = {}; // statuses that imports return instead of doing what they are for
  #available = { maps: {}, buffers: {} }; // in the callback that runs
  #next = 1; // context

  static async load(bytes, options = {}) {
    const host = new Host();
    host.options = { configuration: "", time: 0n, random: defaultRandom(), ...options };
    const { instance } = await WebAssembly.instantiate(bytes, host.#imports());
    host.exports = instance.exports;
    if (!(host.exports.proxy_abi_version_0_2_1 instanceof Function)) throw new Error("not a filter of ABI 0.2.1");
    host.exports._initialize?.();
    if (!host.#callback("proxy_on_vm_start", [1, 0])) host.violation("the virtual machine was refused");
    ({ started: host.started } = host.plugin(host.options.configuration));
    return host;
  }

  // A plugin's context, with a configuration of its own: its number, and whether the filter takes it.
  plugin(configuration) {
    const id = this.#next++, bytes = Buffer.from(configuration);
    this.#callback("proxy_on_context_create", [id, 0]);
    const started = this.#callback("proxy_on_configure", [id, bytes.length], { buffers: { 7: bytes } }) !== 0;
    return { id, started };
  }

  // Lets imports fail: { proxy_get_buffer_bytes: 10 }.
  failing(statuses) { this.#fail = statuses; }

  violation(text) { this.violations.push(text); }

  // Calls an export while what `available` has can be read and changed.
  #callback(name, args, available = {}) {
    this.#available = { maps: {}, buffers: {}, ...available };
    try {
      const result = this.exports[name](...args);
      if (result !== undefined && typeof result !== "number") this.violation(`${name} returned no number`);
      return result;
    } finally {
      this.#available = { maps: {}, buffers: {} };
    }
  }

  // Memory: views are made anew, because it may grow. ----------------------------------------------------------------

  #inside(pointer, size) {
    const total = this.exports.memory.buffer.byteLength;
    return pointer >= 0 && size >= 0 && pointer + size <= total;
  }

  #read(pointer, size) { return Buffer.from(this.exports.memory.buffer.slice(pointer, pointer + size)); }

  #write(pointer, bytes) { new Uint8Array(this.exports.memory.buffer, pointer, bytes.length).set(bytes); }

  #write32(pointer, value) { new DataView(this.exports.memory.buffer).setUint32(pointer, value, true); }

  // Hands a value over: the filter's own memory, the address and size where it wants them.
  #give(bytes, dataPointer, sizePointer) {
    if (!this.#inside(dataPointer, 4) || !this.#inside(sizePointer, 4)) return this.#fault("a place for a result");
    let at = 0;
    if (bytes.length > 0) {
      at = this.exports.proxy_on_memory_allocate(bytes.length) >>> 0;
      if (at === 0) return STATUS.INTERNAL_FAILURE;
      if (!this.#inside(at, bytes.length)) return this.#fault("allocated memory");
      this.#write(at, bytes);
    }
    this.#write32(dataPointer, at);
    this.#write32(sizePointer, bytes.length);
    return STATUS.OK;
  }

  #fault(what) {
    this.violation(`${what} is outside of the memory`);
    return STATUS.INVALID_MEMORY_ACCESS;
  }

  #bad(what) {
    this.violation(what);
    return STATUS.BAD_ARGUMENT;
  }

  // Imports -----------------------------------------------------------------------------------------------------------

  // An import that counts its calls, fails when it is told to, and sees sizes and pointers as unsigned.
  #import(name, fn) {
    return (...args) => {
      this.calls[name] = (this.calls[name] ?? 0) + 1;
      const failure = this.#fail[name];
      if (failure !== undefined) return failure;
      return fn(...args.map((argument) => typeof argument === "bigint" ? argument : argument >>> 0));
    };
  }

  // With the map's headers and the key, if both are allowed.
  #withKey(map, pointer, size, fn) {
    if (MAPS[map] === undefined) return this.#bad(`map ${map} is unknown`);
    if (!this.#inside(pointer, size)) return this.#fault("a key");
    const headers = this.#available.maps[map];
    if (headers === undefined) return this.#bad(`${MAPS[map]} can not be used here`);
    const key = this.#read(pointer, size).toString("latin1");
    if (!/^:?[!#$%&'*+.^_`|~0-9a-z-]+$/.test(key)) return this.#bad(`"${key}" is no name of a header`);
    return fn(headers, key);
  }

  // With a value to be set besides.
  #withValue(map, key, keySize, pointer, size, fn) {
    return this.#withKey(map, key, keySize, (headers, name) => {
      if (!this.#inside(pointer, size)) return this.#fault("a value");
      const value = this.#read(pointer, size).toString("latin1");
      if (/[\0\r\n]/.test(value)) return this.#bad(`the value of ${name} has a line's end`);
      fn(headers, name, value);
      return STATUS.OK;
    });
  }

  #mapImports() {
    const remove = (headers, key) => {
      for (let i = headers.length - 1; i >= 0; i--) if (headers[i][0] === key) headers.splice(i, 1);
    };
    return {
      proxy_get_header_map_pairs: (map, dataPointer, sizePointer) => {
        if (MAPS[map] === undefined) return this.#bad(`map ${map} is unknown`);
        const headers = this.#available.maps[map];
        if (headers === undefined) return this.#bad(`${MAPS[map]} can not be used here`);
        return this.#give(this.options.pairs?.(headers) ?? serialise(headers), dataPointer, sizePointer);
      },
      proxy_get_header_map_value: (map, key, keySize, dataPointer, sizePointer) =>
        this.#withKey(map, key, keySize, (headers, name) => {
          const found = headers.find(([other]) => other === name);
          if (!found) return STATUS.NOT_FOUND;
          return this.#give(Buffer.from(found[1], "latin1"), dataPointer, sizePointer);
        }),
      proxy_add_header_map_value: (...args) =>
        this.#withValue(...args, (headers, name, value) => headers.push([name, value])),
      proxy_replace_header_map_value: (...args) =>
        this.#withValue(...args, (headers, name, value) => {
          const found = headers.find(([other]) => other === name);
          if (found) found[1] = value; else headers.push([name, value]);
        }),
      proxy_remove_header_map_value: (map, key, keySize) =>
        this.#withKey(map, key, keySize, (headers, name) => (remove(headers, name), STATUS.OK)),
    };
  }

  #withBuffer(number, fn) {
    if (BUFFERS[number] === undefined) return this.#bad(`buffer ${number} is unknown`);
    const buffer = this.#available.buffers[number];
    if (buffer === undefined) {
      this.violation(`${BUFFERS[number]} can not be used here`);
      return STATUS.NOT_FOUND;
    }
    return fn(buffer);
  }

  #bufferImports() {
    return {
      proxy_get_buffer_bytes: (number, start, max, dataPointer, sizePointer) => this.#withBuffer(number, (buffer) => {
        if (start > buffer.length || start + max > 0xffffffff) return this.#bad("a part outside of the buffer");
        return this.#give(buffer.subarray(start, start + max), dataPointer, sizePointer);
      }),
      proxy_set_buffer_bytes: (number, start, size, pointer, valueSize) => this.#withBuffer(number, (buffer) => {
        if (!this.#inside(pointer, valueSize)) return this.#fault("a body");
        const end = Math.min(start + size, buffer.length);
        const value = this.#read(pointer, valueSize);
        this.#available.buffers[number] = Buffer.concat([buffer.subarray(0, start), value, buffer.subarray(end)]);
        return STATUS.OK;
      }),
    };
  }

  #imports() {
    const env = {
      proxy_log: (level, pointer, size) => {
        if (level > 5) return this.#bad(`level ${level} is unknown`);
        if (!this.#inside(pointer, size)) return this.#fault("a message");
        this.logs.push(new Log(level, this.#read(pointer, size)));
        return STATUS.OK;
      },
      ...this.#mapImports(),
      ...this.#bufferImports(),
    };
    const wasi = {
      random_get: (pointer, size) => {
        if (!this.#inside(pointer, size)) return this.#fault("a place for random numbers"), ERRNO.FAULT;
        if (size > MAX_RANDOM) return ERRNO.INVAL;
        this.#write(pointer, this.options.random(size));
        return ERRNO.SUCCESS;
      },
      clock_time_get: (clock, _precision, pointer) => {
        if (clock > 1) return ERRNO.NOTSUP;
        if (!this.#inside(pointer, 8)) return this.#fault("a place for the time"), ERRNO.FAULT;
        new DataView(this.exports.memory.buffer).setBigUint64(pointer, this.options.time, true);
        return ERRNO.SUCCESS;
      },
    };
    const wrapped = (imports) => Object.fromEntries(
      Object.entries(imports).map(([name, fn]) => [name, this.#import(name, fn)]));
    return { env: wrapped(env), wasi_snapshot_preview1: wrapped(wasi) };
  }

  // Streams -----------------------------------------------------------------------------------------------------------

  // A context of its own for a request of that plugin; `end` must be called for it.
  begin(plugin = 1) {
    const id = this.#next++;
    this.#callback("proxy_on_context_create", [id, plugin]);
    return id;
  }

  // The request's headers as they go to the service.
  request(id, headers, ends = true) {
    const maps = { 0: structuredClone(headers) };
    const action = this.#callback("proxy_on_request_headers", [id, headers.length, Number(ends)], { maps });
    if (action !== CONTINUE) this.violation("the request was paused, and nothing continues it");
    return maps[0];
  }

  // The response as the client gets it.
  respond(id, { headers, chunks = [], trailers }) {
    const state = { headers: structuredClone(headers), sent: [], held: Buffer.alloc(0), paused: false };
    const endsWithHeaders = chunks.length === 0 && !trailers;
    const maps = { 2: state.headers };
    let action = this.#callback("proxy_on_response_headers", [id, headers.length, Number(endsWithHeaders)], { maps });
    state.paused = action === PAUSE;
    if (endsWithHeaders && state.paused) this.violation("a response without a body was paused");
    chunks.forEach((chunk, i) => this.#chunk(id, state, chunk, i === chunks.length - 1 && !trailers));
    if (trailers) this.#trailers(id, state, trailers);
    if (state.paused) this.violation("the response was paused for ever");
    return { headers: state.headers, body: Buffer.concat(state.sent), trailers: state.trailers };
  }

  // While the filter pauses, the host keeps the body and its headers can be changed.
  #chunk(id, state, chunk, ends) {
    const body = Buffer.concat([state.held, chunk]);
    const available = { maps: state.paused ? { 2: state.headers } : {}, buffers: { 1: body } };
    const holder = { ...available };
    const action = this.#callback("proxy_on_response_body", [id, body.length, Number(ends)], holder);
    const left = holder.buffers[1];
    if (action === PAUSE) {
      state.held = left;
      state.paused = true;
    } else {
      state.sent.push(left);
      state.held = Buffer.alloc(0);
      state.paused = false;
    }
  }

  #trailers(id, state, trailers) {
    state.trailers = structuredClone(trailers);
    const holder = { maps: { 3: state.trailers }, buffers: {} };
    if (state.paused) {
      holder.maps[2] = state.headers;
      holder.buffers[1] = state.held;
    }
    if (this.#callback("proxy_on_response_trailers", [id, trailers.length], holder) !== CONTINUE) return;
    if (state.paused) state.sent.push(holder.buffers[1]);
    state.paused = false;
  }

  end(id) {
    if (!this.#callback("proxy_on_done", [id])) this.violation("a request's end was put off");
    this.#callback("proxy_on_delete", [id]);
  }

  exchange({ request, response }) {
    const id = this.begin();
    const sent = this.request(id, request);
    const result = this.respond(id, response);
    this.end(id);
    return { request: sent, ...result };
  }
}

// Ids that are the same in each run.
function defaultRandom() {
  let seed = 1;
  return (size) => Buffer.from(Array.from({ length: size }, () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return seed >>> 16 & 255;
  }));
}

// The specification's form of headers: their number, the lengths, and the texts with terminators.
export function serialise(headers) {
  const texts = headers.map(([key, value]) => [Buffer.from(key, "latin1"), Buffer.from(value, "latin1")]);
  const numbers = [texts.length, ...texts.flatMap(([key, value]) => [key.length, value.length])];
  const head = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, i) => head.writeUInt32LE(number, 4 * i));
  const zero = Buffer.alloc(1);
  return Buffer.concat([head, ...texts.flatMap(([key, value]) => [key, zero, value, zero])]);
}
