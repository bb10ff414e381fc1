// Owners of OpenSSL's objects, for .cc files: no header of ours shows OpenSSL, and only a library
// that links it includes this one.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include <memory>

namespace coffer::openssl {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using Ptr = std::unique_ptr<T, Deleter<Free>>;

using BigNum = Ptr<BIGNUM, BN_clear_free>;  // possibly a secret
using Bio = Ptr<BIO, BIO_free_all>;
using Certificate = Ptr<X509, X509_free>;
using CipherContext = Ptr<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using EcdsaSig = Ptr<ECDSA_SIG, ECDSA_SIG_free>;
using Extension = Ptr<X509_EXTENSION, X509_EXTENSION_free>;
using MdContext = Ptr<EVP_MD_CTX, EVP_MD_CTX_free>;
using ParamBuilder = Ptr<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = Ptr<OSSL_PARAM, OSSL_PARAM_free>;
using Pkey = Ptr<EVP_PKEY, EVP_PKEY_free>;
using PkeyContext = Ptr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

// OpenSSL leaves its reasons in a queue of the thread; ours are in the Error instead.
struct ClearErrors {
  ClearErrors() = default;
  ClearErrors(const ClearErrors&) = delete;
  ClearErrors& operator=(const ClearErrors&) = delete;
  ~ClearErrors() { ERR_clear_error(); }
};

}  // namespace coffer::openssl
