// A vendor's service on 127.0.0.1: answers what a test tells it to, and counts who asked for what.
#pragma once

#include <fcntl.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/http/client.h"

namespace coffer::testing {

class LocalService {
 public:
  struct Answer {
    unsigned status = 404;
    std::string body = {};
    std::map<std::string, std::string> headers = {};
  };
  // Called from the service's thread, one at a time.
  using Handler = std::function<Answer(const std::string& target)>;

  explicit LocalService(Handler handler)
      : handler_(std::move(handler)),
        acceptor_(io_, {boost::asio::ip::make_address("127.0.0.1"), 0}),
        port_(acceptor_.local_endpoint().port()) {
    // A program that a test starts must not keep the port open.
    ::fcntl(acceptor_.native_handle(), F_SETFD, FD_CLOEXEC);
    thread_ = std::thread([this] { run(); });
  }
  LocalService(const LocalService&) = delete;
  LocalService& operator=(const LocalService&) = delete;
  ~LocalService() {
    stop();
    if (thread_.joinable()) thread_.join();
  }
  // From then on nobody listens.
  void stop() {
    if (stopping_.exchange(true)) return;
    boost::system::error_code ignored;
    boost::asio::io_context io;
    boost::asio::ip::tcp::socket wake(io);
    wake.connect({boost::asio::ip::make_address("127.0.0.1"), port_}, ignored);
    wake.close(ignored);
    thread_.join();
    acceptor_.close(ignored);
  }

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // How often a target that begins with this was asked for.
  [[nodiscard]] std::size_t count(const std::string& prefix) const {
    const std::lock_guard lock(mutex_);
    std::size_t out = 0;
    for (const auto& [target, times] : seen_) out += target.starts_with(prefix) ? times : 0;
    return out;
  }

 private:
  void run() {
    namespace http = boost::beast::http;
    while (true) {
      boost::system::error_code error;
      boost::asio::ip::tcp::socket socket(io_);
      acceptor_.accept(socket, error);
      if (stopping_) return;
      if (error) continue;
      boost::beast::flat_buffer buffer;
      http::request<http::empty_body> request;
      http::read(socket, buffer, request, error);
      if (error) continue;
      const std::string target(request.target());
      {
        const std::lock_guard lock(mutex_);
        ++seen_[target];
      }
      const Answer answer = handler_(target);
      http::response<http::string_body> response(static_cast<http::status>(answer.status), 11);
      for (const auto& [name, value] : answer.headers) response.set(name, value);
      response.body() = answer.body;
      response.keep_alive(false);
      response.prepare_payload();
      http::write(socket, response, error);
    }
  }

  Handler handler_;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::uint16_t port_;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, std::size_t> seen_;
  std::thread thread_;
};

}  // namespace coffer::testing
