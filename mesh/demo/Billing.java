import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The service `billing` of the mesh's demo: throws, and answers with the stack trace. Billing PORT */
public class Billing {
  private static final Map<String, String> AMOUNTS = Map.of("1", "7", "2", "seven");

  private static int amountOf(String id) {
    try {
      return Integer.parseInt(AMOUNTS.get(id));
    } catch (NumberFormatException error) {
      throw new IllegalStateException("no amount of bill " + id, error);
    }
  }

  private static void handle(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    String parent = exchange.getRequestHeaders().getFirst("traceparent");
    exchange.getResponseHeaders().set("X-Seen-Traceparent", parent == null ? "" : parent);
    int status = 200;
    String text;
    try {
      text = "{\"amount\":" + amountOf(path.substring(path.lastIndexOf('/') + 1)) + "}";
    } catch (RuntimeException error) {
      StringWriter trace = new StringWriter();
      error.printStackTrace(new PrintWriter(trace, true));
      status = 500;
      text = trace.toString();
    }
    byte[] body = text.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }

  public static void main(String[] arguments) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
    server.createContext("/", Billing::handle);
    server.start();
  }
}
