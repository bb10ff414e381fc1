// A guest as the broker sees it: one TLS connection, and the handshake's requests on it.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <optional>
#include <string>

#include "attestation/jose/key.h"
#include "base/loop.h"
#include "bench/kbs/vendors.h"

namespace coffer::bench {

class Guest {
 public:
  // `tls` must outlive it. Makes the guest's key.
  Guest(asio::io_context& io, asio::ssl::context& tls, protocol::Tee tee);

  // Each returns when the broker has answered 200, and throws std::exception otherwise.
  //
  // Connects, and takes a challenge.
  Task<> begin(asio::ip::tcp::endpoint broker);
  // No I/O: answers the challenge.
  [[nodiscard]] Status make_evidence(const Vendors& vendors);
  Task<> attest();
  // Over the session, decrypted; what it held.
  Task<std::string> read(std::string path);

 private:
  // `target` is below /kbs/v0/. The reply's body.
  Task<std::string> exchange(std::string method, std::string target, std::string body);

  boost::beast::ssl_stream<boost::beast::tcp_stream> stream_;
  boost::beast::flat_buffer buffer_;
  protocol::Tee tee_;
  jose::PrivateKey key_;
  std::string nonce_, cookie_, attestation_;
};

}  // namespace coffer::bench
