#include "fake_broker.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <span>

#include "base/log.h"

namespace coffer::client {
namespace {

constexpr long kYear = 365L * 24 * 3600;

// Reads and writes of a connection, plain or not.
class Wire {
 public:
  Wire(int fd, SSL_CTX* context) : fd_(fd) {
    if (context == nullptr) return;
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), fd);
    good_ = SSL_accept(ssl_.get()) == 1;
  }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] long read(std::span<char> out) {
    return ssl_ ? SSL_read(ssl_.get(), out.data(), static_cast<int>(out.size()))
                : ::recv(fd_, out.data(), out.size(), 0);
  }
  [[nodiscard]] bool write(std::string_view text) {
    while (!text.empty()) {
      const long sent = ssl_ ? SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()))
                             : ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  int fd_;
  std::unique_ptr<SSL, Free> ssl_;
  bool good_ = true;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

// False at the end of the stream.
bool read_request(Wire& wire, std::string& buffer, SeenRequest& out) {
  std::array<char, 4096> chunk{};
  const auto more = [&] {
    const long count = wire.read(chunk);
    if (count <= 0) return false;
    buffer.append(chunk.data(), static_cast<std::size_t>(count));
    return true;
  };
  auto end = buffer.find("\r\n\r\n");
  while (end == std::string::npos) {
    if (!more()) return false;
    end = buffer.find("\r\n\r\n");
  }
  const auto first = buffer.find("\r\n");
  out.line = buffer.substr(0, first);
  out.headers = buffer.substr(first + 2, end - first);
  const std::string length = out.header("content-length");
  const auto size = static_cast<std::size_t>(std::strtoul(length.c_str(), nullptr, 10));
  buffer.erase(0, end + 4);
  while (buffer.size() < size) {
    if (!more()) return false;
  }
  out.body = buffer.substr(0, size);
  buffer.erase(0, size);
  return true;
}

X509* self_signed(const jose::PrivateKey& key) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kYear);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kYear);
  X509_set_pubkey(certificate, key.native());
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("fake broker"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate, key.native(), EVP_sha256());
  return certificate;
}

std::string pem_of(X509* certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return out;
}

}  // namespace

std::string SeenRequest::header(std::string_view name) const {
  const std::string all = "\r\n" + headers;
  const std::string folded = lower(all);
  const std::string want = "\r\n" + lower(std::string(name)) + ": ";
  const auto at = folded.find(want);
  if (at == std::string::npos) return {};
  const auto start = at + want.size();
  return all.substr(start, all.find("\r\n", start) - start);
}

FakeBroker::FakeBroker(Handler handler) : handler_(std::move(handler)) { listen(); }

FakeBroker::FakeBroker(Handler handler, const jose::PrivateKey& key)
    : handler_(std::move(handler)) {
  tls_ = std::shared_ptr<SSL_CTX>(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  X509* certificate = self_signed(key);
  certificate_pem_ = pem_of(certificate);
  SSL_CTX_use_certificate(tls_.get(), certificate);
  SSL_CTX_use_PrivateKey(tls_.get(), key.native());
  X509_free(certificate);
  listen();
}

void FakeBroker::listen() {
  ignore_sigpipe();
  listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  check(::bind(listener_.get(), raw, size) == 0 && ::listen(listener_.get(), 16) == 0 &&
            ::getsockname(listener_.get(), raw, &size) == 0,
        "a socket on loopback");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

void FakeBroker::accept_loop() {
  for (;;) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::lock_guard lock(mutex_);
    connections_.emplace_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
    if (ending_) return;
  }
}

void FakeBroker::serve(int fd) {
  Wire wire(fd, tls_.get());
  std::string buffer;
  for (SeenRequest request; wire.good() && read_request(wire, buffer, request);) {
    std::string answer;
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(request);
      answer = handler_(request);
    }
    if (answer.empty() || !wire.write(answer)) break;
  }
  ::shutdown(fd, SHUT_RDWR);
}

FakeBroker::~FakeBroker() {
  ending_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& connection : connections_) ::shutdown(connection.get(), SHUT_RDWR);
  }
  for (auto& thread : threads_) thread.join();
}

std::string FakeBroker::url() const {
  return fmt::format("{}://127.0.0.1:{}", tls_ ? "https" : "http", port_);
}

std::vector<SeenRequest> FakeBroker::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

std::string http_reply(int status, std::string_view body, std::string_view more_headers) {
  return fmt::format(
      "HTTP/1.1 {} Whatever\r\ncontent-length: {}\r\n{}content-type: application/json\r\n"
      "date: Tue, 25 Nov 2025 12:00:00 GMT\r\n\r\n{}",
      status, body.size(), more_headers, body);
}

}  // namespace coffer::client
