#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "shim/qemu/qmp.h"

namespace coffer::shim {
namespace {

constexpr std::size_t kReadBytes = 16384;

Code code_of(std::string_view error_class) {
  if (error_class == "DeviceNotFound") return Code::kNotFound;
  if (error_class == "CommandNotFound") return Code::kUnimplemented;
  return Code::kFailedPrecondition;
}

// Sends what fits; the descriptor, if there is one, goes with the first byte.
ssize_t send_some(int socket, std::string_view bytes, int fd) {
  if (fd < 0) return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  // SAFETY: the control buffer is aligned as cmsghdr and sized by CMSG_SPACE for one int.
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

Error gone() { return {Code::kUnavailable, "QEMU's monitor is closed"}; }

}  // namespace

struct QmpClient::State {
  State(const asio::any_io_executor& loop, Fd fd, OnEvent events)
      : executor(loop),
        socket(std::move(fd)),
        on_event(std::move(events)),
        greeted(loop),
        sending(loop) {}

  using Answer = Future<std::optional<QmpMessage>>;

  // Reads until the end of the stream, or until a line that is no QMP.
  static Task<void> read(std::shared_ptr<State> state);
  void drain();
  void deliver(QmpMessage message);
  void finish();
  Task<Status> send(std::string line, int fd, Deadline deadline);
  static Task<Result<std::string>> call(std::shared_ptr<State> state, std::string command,
                                        std::string arguments, int fd, Deadline deadline);

  asio::any_io_executor executor;
  Fd socket;
  OnEvent on_event;
  QmpLines lines;
  std::optional<Error> fault;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::shared_ptr<Answer>> waiting;  // shared: with the waiting call
  Event greeted;
  AsyncMutex sending;
};

void QmpClient::State::deliver(QmpMessage message) {
  switch (message.type) {
    case QmpMessage::Type::kGreeting:
      greeted.set();
      return;
    case QmpMessage::Type::kEvent:
      if (on_event) on_event(message);
      return;
    case QmpMessage::Type::kReturn:
    case QmpMessage::Type::kError:
      break;
  }
  // An answer to a call that has given up, or to none.
  if (!message.id) return;
  const auto it = waiting.find(*message.id);
  if (it == waiting.end()) return;
  const auto answer = it->second;
  waiting.erase(it);
  answer->set(std::move(message));
}

void QmpClient::State::drain() {
  while (auto line = lines.next()) {
    if (line->empty()) continue;
    auto message = parse_qmp_message(*line);
    if (!message) {
      fault = std::move(message).error();
      return;
    }
    deliver(*std::move(message));
  }
}

void QmpClient::State::finish() {
  if (!fault) fault = gone();
  for (const auto& [id, answer] : std::exchange(waiting, {})) answer->set(std::nullopt);
  greeted.set();
}

Task<void> QmpClient::State::read(std::shared_ptr<State> state) {
  std::array<char, kReadBytes> buffer{};
  while (!state->fault) {
    const ssize_t count = ::read(state->socket.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      const auto ready = co_await wait_readable(state->socket.get());
      if (!ready) break;
      continue;
    }
    if (count <= 0) break;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
    if (auto status = state->lines.append(bytes); !status) {
      state->fault = std::move(status).error();
      break;
    }
    state->drain();
  }
  state->finish();
}

Task<Status> QmpClient::State::send(std::string line, int fd, Deadline deadline) {
  const auto lock = co_await sending.lock();
  std::string_view rest = line;
  while (!rest.empty()) {
    if (fault) co_return fail(*fault);
    const ssize_t count = send_some(socket.get(), rest, fd);
    if (count >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(count));
      fd = -1;  // went with the first bytes
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return fail(gone());
    const auto ready = co_await wait_writable(socket.get(), deadline);
    if (!ready || !*ready) {
      co_return fail(Code::kDeadlineExceeded, "QEMU does not read its monitor");
    }
  }
  co_return Status{};
}

Task<Result<std::string>> QmpClient::State::call(std::shared_ptr<State> state, std::string command,
                                                 std::string arguments, int fd, Deadline deadline) {
  if (state->fault) co_return fail(*state->fault);
  const std::string what = fmt::format("QMP '{}'", command);
  const std::uint64_t id = ++state->last_id;
  const auto answer = std::make_shared<Answer>(state->executor);
  state->waiting[id] = answer;
  std::string line = qmp_command(command, arguments, id);
  const auto sent = co_await state->send(std::move(line), fd, deadline);
  if (!sent) {
    state->waiting.erase(id);
    co_return fail(Error(sent.error()).with_context(what));
  }
  const auto outcome = co_await answer->wait(deadline);
  state->waiting.erase(id);
  if (!outcome) co_return fail(Code::kDeadlineExceeded, what + ": no answer in time");
  if (!*outcome) co_return fail(Error(*state->fault).with_context(what));
  const QmpMessage& message = **outcome;
  if (message.type == QmpMessage::Type::kReturn) co_return message.data;
  co_return fail(code_of(message.name), fmt::format("{}: {}", what, message.text));
}

QmpClient::QmpClient(asio::any_io_executor executor, Fd socket, OnEvent on_event)
    : state_(std::make_shared<State>(executor, std::move(socket), std::move(on_event))),
      scope_(std::make_unique<Scope>(executor)) {
  const int flags = ::fcntl(state_->socket.get(), F_GETFL);
  (void)::fcntl(state_->socket.get(), F_SETFL, flags | O_NONBLOCK);
  scope_->spawn(State::read(state_));
}

QmpClient::~QmpClient() {
  // What is in flight must not call into the client's owner any more.
  state_->on_event = nullptr;
  state_->finish();
}

bool QmpClient::is_closed() const { return state_->fault.has_value(); }

Task<void> QmpClient::close() {
  co_await scope_->close();
  state_->finish();
}

Task<Status> QmpClient::handshake(Deadline deadline) {
  const auto state = state_;
  const bool greeted = co_await state->greeted.wait(deadline);
  if (!greeted) co_return fail(Code::kDeadlineExceeded, "QEMU's monitor does not greet");
  if (state->fault) co_return fail(*state->fault);
  const std::string command = "qmp_capabilities";
  const auto reply = co_await State::call(state, command, "", -1, deadline);
  if (!reply) co_return fail(reply.error());
  co_return Status{};
}

Task<Result<std::string>> QmpClient::execute(std::string command, std::string arguments,
                                             Deadline deadline) {
  return State::call(state_, std::move(command), std::move(arguments), -1, deadline);
}

Task<Status> QmpClient::give_fd(std::string name, int fd, Deadline deadline) {
  const std::string command = "getfd";
  const std::string arguments = fmt::format(R"({{"fdname":"{}"}})", name);
  const auto reply = co_await State::call(state_, command, arguments, fd, deadline);
  if (!reply) co_return fail(reply.error());
  co_return Status{};
}

}  // namespace coffer::shim
