// The service `cart` of the mesh's demo: crashes, and answers with the error's stack. cart.js PORT
const http = require("node:http");

const carts = { 1: { items: [{ price: 3 }] } };

function totalOf(cart) {
  return cart.items.reduce((sum, item) => sum + item.price, 0);
}

function handle(url) {
  return JSON.stringify({ total: totalOf(carts[url.split("/").pop()]) });
}

http
  .createServer((request, response) => {
    response.setHeader("X-Seen-Traceparent", request.headers.traceparent ?? "");
    try {
      response.end(handle(request.url));
    } catch (error) {
      response.statusCode = 500;
      response.setHeader("Content-Type", "text/plain");
      response.end(error.stack); // chunked
    }
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
