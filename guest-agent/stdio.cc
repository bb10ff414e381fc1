#include "guest-agent/stdio.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace coffer::agent {
namespace {

constexpr auto kDrainTime = std::chrono::milliseconds(500);
constexpr std::uint32_t kDefaultPipeSize = std::uint32_t{1} << 20U;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

using asio::posix::stream_descriptor;

void set_nonblocking(stream_descriptor& descriptor) {
  boost::system::error_code ignored;
  descriptor.non_blocking(true, ignored);
}

// An aborted wait means one of two things: the stream's owner wants us to look again, or the call
// itself is cancelled. Only the latter must unwind.
Task<void> wait(stream_descriptor& descriptor, stream_descriptor::wait_type type) {
  co_await descriptor.async_wait(type, kNoThrow);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none)
    throw boost::system::system_error(asio::error::operation_aborted);
}

}  // namespace

OutputStream::OutputStream(const asio::any_io_executor& executor, Fd fd)
    : descriptor_(executor, fd.release()), drain_(executor) {
  set_nonblocking(descriptor_);
}

OutputStream::~OutputStream() = default;

Task<Result<std::string>> OutputStream::read(std::uint32_t limit) {
  const std::size_t want = std::clamp<std::uint32_t>(limit, 1, kMaxRead);
  while (descriptor_.is_open()) {
    std::string data;
    ssize_t got = 0;
    int err = 0;
    data.resize_and_overwrite(want, [&](char* buffer, std::size_t size) {
      got = ::read(descriptor_.native_handle(), buffer, size);
      err = errno;
      return got > 0 ? static_cast<std::size_t>(got) : std::size_t{0};
    });
    // A pty whose other side is closed reports EIO: the end of the stream.
    if (got >= 0 || err == EIO) co_return data;
    if (err == EINTR) continue;
    if (err != EAGAIN) co_return fail_errno(err, "read a process's output");
    if (drained_) co_return std::string();
    co_await wait(descriptor_, stream_descriptor::wait_read);
  }
  co_return std::string();
}

void OutputStream::process_exited() {
  if (exited_) return;
  exited_ = true;
  drain_.expires_after(kDrainTime);
  drain_.async_wait([owner = std::weak_ptr(self_)](const boost::system::error_code& error) {
    const auto stream = owner.lock();
    if (error || !stream) return;
    (*stream)->drained_ = true;
    boost::system::error_code ignored;
    if ((*stream)->descriptor_.is_open()) (*stream)->descriptor_.cancel(ignored);
  });
}

void OutputStream::close() {
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

InputStream::InputStream(const asio::any_io_executor& executor, Fd fd)
    : descriptor_(executor, fd.release()), turn_(executor) {
  set_nonblocking(descriptor_);
}

InputStream::~InputStream() = default;

Task<Status> InputStream::write(std::string data) {
  const auto lock = co_await turn_.lock();
  co_return co_await write_all(std::move(data));
}

Task<Status> InputStream::write_all(std::string data) {
  std::string_view rest = data;
  while (!rest.empty()) {
    if (exited_) co_return fail(Code::kFailedPrecondition, "write stdin: the process has exited");
    if (!descriptor_.is_open()) co_return fail(Code::kFailedPrecondition, "write stdin: closed");
    const auto put = ::write(descriptor_.native_handle(), rest.data(), rest.size());
    if (put >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(put));
      continue;
    }
    const int err = errno;
    if (err == EINTR) continue;
    if (err == EPIPE || err == EIO)
      co_return fail(Code::kFailedPrecondition, "write stdin: the process has closed it");
    if (err != EAGAIN) co_return fail_errno(err, "write stdin");
    co_await wait(descriptor_, stream_descriptor::wait_write);
  }
  co_return Status{};
}

Task<Status> InputStream::close_after_writes() {
  const auto lock = co_await turn_.lock();
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  co_return Status{};
}

void InputStream::process_exited() {
  exited_ = true;
  boost::system::error_code ignored;
  if (descriptor_.is_open()) descriptor_.cancel(ignored);
}

void Stdio::process_exited() {
  if (in) in->process_exited();
  if (out) out->process_exited();
  if (err) err->process_exited();
}

namespace {

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe(std::uint32_t size) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "make a pipe");
  Pipe pipe{.read = Fd(ends[0]), .write = Fd(ends[1])};
  // A refusal leaves the default of 64 KiB, which works too.
  ::fcntl(ends[0], F_SETPIPE_SZ, static_cast<int>(size));
  return pipe;
}

}  // namespace

Result<StdioPipes> make_pipes(const asio::any_io_executor& executor, std::uint32_t pipe_size) {
  const auto size = pipe_size == 0 ? kDefaultPipeSize : pipe_size;
  COFFER_TRY(auto in, make_pipe(size));
  COFFER_TRY(auto out, make_pipe(size));
  COFFER_TRY(auto err, make_pipe(size));
  StdioPipes pipes;
  pipes.child_in = std::move(in.read);
  pipes.child_out = std::move(out.write);
  pipes.child_err = std::move(err.write);
  pipes.ours.in = std::make_unique<InputStream>(executor, std::move(in.write));
  pipes.ours.out = std::make_unique<OutputStream>(executor, std::move(out.read));
  pipes.ours.err = std::make_unique<OutputStream>(executor, std::move(err.read));
  return pipes;
}

Result<Stdio> stdio_of_terminal(const asio::any_io_executor& executor, Fd master) {
  // One descriptor for each direction: the loop waits on them independently.
  Fd in(::fcntl(master.get(), F_DUPFD_CLOEXEC, 3));
  Fd out(::fcntl(master.get(), F_DUPFD_CLOEXEC, 3));
  if (!in.valid() || !out.valid()) return fail_errno(errno, "duplicate a terminal");
  Stdio stdio;
  stdio.in = std::make_unique<InputStream>(executor, std::move(in));
  stdio.out = std::make_unique<OutputStream>(executor, std::move(out));
  stdio.terminal = std::move(master);
  return stdio;
}

Status resize_terminal(int master, std::uint32_t rows, std::uint32_t columns) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(std::min<std::uint32_t>(rows, UINT16_MAX));
  size.ws_col = static_cast<unsigned short>(std::min<std::uint32_t>(columns, UINT16_MAX));
  if (::ioctl(master, TIOCSWINSZ, &size) != 0) return fail_errno(errno, "resize a terminal");
  return {};
}

}  // namespace coffer::agent
