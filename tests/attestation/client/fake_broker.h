// A broker made of raw sockets: it hands what it read to the test and sends, byte for byte, what
// the test answers. Over TLS when it is given a key.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "attestation/jose/key.h"
#include "base/fd.h"

struct ssl_ctx_st;

namespace coffer::client {

struct SeenRequest {
  std::string line;     // "POST /kbs/v0/auth HTTP/1.1"
  std::string headers;  // as received, from the second line on
  std::string body;

  // Of a name in any case; empty: absent.
  [[nodiscard]] std::string header(std::string_view name) const;
};

class FakeBroker {
 public:
  // Called from the connection's thread, one at a time. An empty answer closes the connection.
  using Handler = std::function<std::string(const SeenRequest&)>;

  explicit FakeBroker(Handler handler);
  // A self-signed certificate of `key` for 127.0.0.1.
  FakeBroker(Handler handler, const jose::PrivateKey& key);
  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;
  ~FakeBroker();

  [[nodiscard]] std::string url() const;
  [[nodiscard]] const std::string& certificate_pem() const { return certificate_pem_; }
  [[nodiscard]] std::vector<SeenRequest> seen() const;

 private:
  void listen();
  void accept_loop();
  void serve(int fd);

  Handler handler_;
  std::string certificate_pem_;
  std::shared_ptr<ssl_ctx_st> tls_;  // shared: OpenSSL's deleter needs a place
  Fd listener_;
  int port_ = 0;
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;
  std::vector<SeenRequest> seen_;
  std::list<Fd> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// As Trustee's server writes a reply.
[[nodiscard]] std::string http_reply(int status, std::string_view body,
                                     std::string_view more_headers = "");

}  // namespace coffer::client
