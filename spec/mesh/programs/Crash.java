// Crashes in the way that its argument names.
import java.util.List;

public class Crash {
  static class NoOrder extends RuntimeException {
    NoOrder(String message, Throwable cause) { super(message, cause); }
  }

  static class File implements AutoCloseable {
    public void close() { throw new IllegalStateException("close"); }
  }

  static int length(String text) { return text.length(); }

  static void cause() {
    try (File file = new File()) {
      length(null);
    } catch (NullPointerException error) {
      throw new NoOrder("no order\nof that name", error);
    }
  }

  static int endless(int n) { return endless(n + 1) + 1; }

  static void thread() throws Exception {
    Thread task = new Thread(() -> length(null), "worker \"1\"");
    task.start();
    task.join();
  }

  static void reflection() throws Exception {
    Crash.class.getDeclaredMethod("cause").invoke(null);
  }

  public static void main(String[] arguments) throws Exception {
    switch (arguments[0]) {
      case "null": length(null); break;
      case "cause": cause(); break;
      case "lambda": List.of(1).forEach(n -> length(null)); break;
      case "endless": endless(0); break;
      case "thread": thread(); break;
      case "reflection": reflection(); break;
      case "assert": throw new AssertionError();
    }
  }
}
