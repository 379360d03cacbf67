output "name" {
  description = "Name of the app."
  value       = azurerm_function_app_flex_consumption.app.name
}

output "hostname" {
  description = "Host of the app's HTTP functions."
  value       = azurerm_function_app_flex_consumption.app.default_hostname
}
