/* What Debian's libcurl.a names of libraries that coffer-attester asks nothing of.
 *
 * The client (base/http) speaks HTTP/1.1 and HTTPS only. Debian builds libcurl for LDAP, SSH, RTMP,
 * Kerberos, HTTP/2, and more; its shared library draws 9 MB of libraries into each confidential
 * guest. The attester takes the archive instead, and here stands every function that the archive
 * names of those libraries: none is reached, and each refuses. A function that libcurl names and we
 * do not have ends the build, by its name.
 *
 * Nothing of these libraries' headers is needed: only the calling convention counts, and a refusal
 * reads no argument.
 */
#include <stddef.h>
#include <stdint.h>

/* No object, no text, no size. */
#define NOTHING(name) \
  void* name(void) { return 0; }
/* None of these libraries has -1 for a success. */
#define REFUSES(name) \
  int name(void) { return -1; }
#define IGNORES(name) \
  void name(void) {}

/* libnghttp2: HTTP/2 is not offered (CURLOPT_HTTP_VERSION). */
NOTHING(nghttp2_http2_strerror)
NOTHING(nghttp2_session_get_stream_user_data)
NOTHING(nghttp2_strerror)
NOTHING(nghttp2_version)
REFUSES(nghttp2_is_fatal)
REFUSES(nghttp2_option_new)
REFUSES(nghttp2_pack_settings_payload)
REFUSES(nghttp2_session_callbacks_new)
REFUSES(nghttp2_session_check_request_allowed)
REFUSES(nghttp2_session_client_new2)
REFUSES(nghttp2_session_get_remote_settings)
REFUSES(nghttp2_session_get_remote_window_size)
REFUSES(nghttp2_session_get_stream_remote_window_size)
REFUSES(nghttp2_session_mem_recv)
REFUSES(nghttp2_session_resume_data)
REFUSES(nghttp2_session_send)
REFUSES(nghttp2_session_set_local_window_size)
REFUSES(nghttp2_session_set_stream_user_data)
REFUSES(nghttp2_session_upgrade2)
REFUSES(nghttp2_session_want_read)
REFUSES(nghttp2_session_want_write)
REFUSES(nghttp2_submit_ping)
REFUSES(nghttp2_submit_priority)
REFUSES(nghttp2_submit_request)
REFUSES(nghttp2_submit_rst_stream)
REFUSES(nghttp2_submit_settings)
IGNORES(nghttp2_option_del)
IGNORES(nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation)
IGNORES(nghttp2_priority_spec_init)
IGNORES(nghttp2_session_callbacks_del)
IGNORES(nghttp2_session_callbacks_set_error_callback)
IGNORES(nghttp2_session_callbacks_set_on_begin_headers_callback)
IGNORES(nghttp2_session_callbacks_set_on_data_chunk_recv_callback)
IGNORES(nghttp2_session_callbacks_set_on_frame_recv_callback)
IGNORES(nghttp2_session_callbacks_set_on_header_callback)
IGNORES(nghttp2_session_callbacks_set_on_stream_close_callback)
IGNORES(nghttp2_session_callbacks_set_send_callback)
IGNORES(nghttp2_session_del)

/* libssh2: scp and sftp. Of these only the first is ever called, by curl_global_init; 0 is good. */
int libssh2_init(void) { return 0; }
IGNORES(libssh2_exit)
NOTHING(libssh2_agent_init)
NOTHING(libssh2_hostkey_hash)
NOTHING(libssh2_knownhost_init)
NOTHING(libssh2_scp_recv2)
NOTHING(libssh2_scp_send64)
NOTHING(libssh2_session_abstract)
NOTHING(libssh2_session_callback_set)
NOTHING(libssh2_session_hostkey)
NOTHING(libssh2_session_init_ex)
NOTHING(libssh2_sftp_init)
NOTHING(libssh2_sftp_open_ex)
NOTHING(libssh2_userauth_list)
NOTHING(libssh2_version)
REFUSES(libssh2_agent_connect)
REFUSES(libssh2_agent_disconnect)
REFUSES(libssh2_agent_get_identity)
REFUSES(libssh2_agent_list_identities)
REFUSES(libssh2_agent_userauth)
REFUSES(libssh2_channel_free)
REFUSES(libssh2_channel_send_eof)
REFUSES(libssh2_channel_wait_closed)
REFUSES(libssh2_channel_wait_eof)
REFUSES(libssh2_knownhost_add)
REFUSES(libssh2_knownhost_checkp)
REFUSES(libssh2_knownhost_del)
REFUSES(libssh2_knownhost_get)
REFUSES(libssh2_knownhost_readfile)
REFUSES(libssh2_knownhost_writefile)
REFUSES(libssh2_session_block_directions)
REFUSES(libssh2_session_disconnect_ex)
REFUSES(libssh2_session_flag)
REFUSES(libssh2_session_free)
REFUSES(libssh2_session_handshake)
REFUSES(libssh2_session_last_errno)
REFUSES(libssh2_session_last_error)
REFUSES(libssh2_session_method_pref)
REFUSES(libssh2_sftp_close_handle)
REFUSES(libssh2_sftp_last_error)
REFUSES(libssh2_sftp_mkdir_ex)
REFUSES(libssh2_sftp_readdir_ex)
REFUSES(libssh2_sftp_rename_ex)
REFUSES(libssh2_sftp_rmdir_ex)
REFUSES(libssh2_sftp_shutdown)
REFUSES(libssh2_sftp_stat_ex)
REFUSES(libssh2_sftp_statvfs)
REFUSES(libssh2_sftp_symlink_ex)
REFUSES(libssh2_sftp_unlink_ex)
REFUSES(libssh2_userauth_authenticated)
REFUSES(libssh2_userauth_keyboard_interactive_ex)
REFUSES(libssh2_userauth_password_ex)
REFUSES(libssh2_userauth_publickey_fromfile_ex)
IGNORES(libssh2_agent_free)
IGNORES(libssh2_knownhost_free)
IGNORES(libssh2_session_set_blocking)
IGNORES(libssh2_sftp_seek64)
/* ssize_t */
long libssh2_channel_read_ex(void) { return -1; }
long libssh2_channel_write_ex(void) { return -1; }
long libssh2_sftp_read(void) { return -1; }
long libssh2_sftp_write(void) { return -1; }

/* libldap and liblber. */
NOTHING(ldap_err2string)
REFUSES(ber_sockbuf_add_io)
REFUSES(ldap_abandon_ext)
REFUSES(ldap_get_attribute_ber)
REFUSES(ldap_get_dn_ber)
REFUSES(ldap_get_option)
REFUSES(ldap_init_fd)
REFUSES(ldap_msgfree)
REFUSES(ldap_msgtype)
REFUSES(ldap_parse_result)
REFUSES(ldap_parse_sasl_bind_result)
REFUSES(ldap_pvt_url_scheme2proto)
REFUSES(ldap_result)
REFUSES(ldap_sasl_bind)
REFUSES(ldap_search_ext)
REFUSES(ldap_set_option)
REFUSES(ldap_start_tls)
REFUSES(ldap_unbind_ext)
REFUSES(ldap_url_parse)
IGNORES(ber_bvfree)
IGNORES(ber_free)
IGNORES(ber_memfree)
IGNORES(ber_memvfree)
IGNORES(ldap_free_urldesc)
IGNORES(ldap_memfree)

/* librtmp: its functions have 0 for a failure, but for reads and writes. */
NOTHING(RTMP_Alloc)
REFUSES(RTMP_Read)
REFUSES(RTMP_Write)
IGNORES(RTMP_Close)
IGNORES(RTMP_Free)
IGNORES(RTMP_Init)
IGNORES(RTMP_SetBufferMS)
int RTMP_Connect1(void) { return 0; }
int RTMP_ConnectStream(void) { return 0; }
int RTMP_SetupURL(void) { return 0; }

/* GSS-API (RFC 2744): Kerberos, for servers and SOCKS proxies, which the client does not offer. A
 * status is a failure by its bits 16 to 31; libcurl asks for its text until it has got one. */
struct gss_buffer {
  size_t length;
  void* value;
};
enum { kGssFailure = 13 << 16 };
#define GSS_REFUSES(name) \
  uint32_t name(void) { return kGssFailure; }
void* GSS_C_NT_HOSTBASED_SERVICE = 0;
GSS_REFUSES(gss_delete_sec_context)
GSS_REFUSES(gss_display_name)
GSS_REFUSES(gss_import_name)
GSS_REFUSES(gss_init_sec_context)
GSS_REFUSES(gss_inquire_context)
GSS_REFUSES(gss_release_buffer)
GSS_REFUSES(gss_release_name)
GSS_REFUSES(gss_unwrap)
GSS_REFUSES(gss_wrap)
uint32_t gss_display_status(uint32_t* minor, uint32_t status, int kind, void* mechanism,
                            uint32_t* context, struct gss_buffer* text) {
  static char none[] = "there is no Kerberos here";
  (void)status, (void)kind, (void)mechanism;
  *minor = 0;
  *context = 0;
  text->length = sizeof none - 1;
  text->value = none;
  return 0;
}

/* libpsl: without its list, libcurl decides by itself whose a cookie may be. */
NOTHING(psl_builtin)
NOTHING(psl_get_version)
NOTHING(psl_latest)
IGNORES(psl_free)
int psl_is_cookie_domain_acceptable(void) { return 0; }

/* libidn2: host names are ASCII. */
REFUSES(idn2_lookup_ul)
IGNORES(idn2_free)
const char* idn2_check_version(void) { return "0"; }

/* Brotli and Zstandard: no encoding of a body is accepted (CURLOPT_ACCEPT_ENCODING). */
NOTHING(BrotliDecoderCreateInstance)
IGNORES(BrotliDecoderDestroyInstance)
int BrotliDecoderDecompressStream(void) { return 0; }
int BrotliDecoderGetErrorCode(void) { return -1; }
uint32_t BrotliDecoderVersion(void) { return 0; }
NOTHING(ZSTD_createDStream)
size_t ZSTD_decompressStream(void) { return (size_t)-1; }
size_t ZSTD_freeDStream(void) { return 0; }
unsigned ZSTD_isError(void) { return 1; }
unsigned ZSTD_versionNumber(void) { return 0; }
