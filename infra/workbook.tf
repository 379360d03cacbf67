locals {
  # One panel a query, in the order in which they are shown. The two kinds of drift are two tabs, and no panel is in both; pins are
  # neither. What takes a new panel is a file beside the others, and an entry here.
  workbook_tabs = {
    pipeline = {
      title = "Pipeline drift"
      says  = "Terraform wrote a state, and the pipeline's records do not say so. [What to do](${var.runbook_url}#part-1-pipeline-drift). Portal drift is not here."
      panels = [
        { file = "estate_now", title = "The estate now, by verdict", visualization = "barchart" },
        { file = "estate_over_time", title = "Stacks that need a person, day by day", visualization = "timechart" },
        { file = "oldest_disagreements", title = "What has stood for longest", visualization = "table" },
        { file = "markets_unread_over_time", title = "Markets unread, run by run", visualization = "timechart" },
        { file = "problems_now", title = "What the newest run could not read or keep", visualization = "table" },
        { file = "stacks_by_tier", title = "Stacks by tier", visualization = "timechart" },
        { file = "run_duration", title = "How long a run takes, in seconds", visualization = "timechart" },
      ]
    }
    portal = {
      title = "Portal drift"
      says  = "A live resource was changed outside Terraform. [What to do](${var.runbook_url}#part-2-portal-drift). Pipeline drift is not here."
      panels = [
        { file = "portal_now", title = "The estate now, by decision", visualization = "barchart" },
        { file = "holds_over_time", title = "Stacks held, by reason, day by day", visualization = "timechart" },
        { file = "held_stacks", title = "What is held now", visualization = "table" },
        { file = "heals_over_time", title = "Heals, by how they ended", visualization = "timechart" },
        { file = "heal_duration", title = "How long a heal takes, in seconds", visualization = "timechart" },
        { file = "plan_run_duration", title = "How long a run of plan checks takes, in seconds", visualization = "timechart" },
      ]
    }
    pins = {
      title = "Module pins"
      says  = "Which versions of the library's modules are in use. No drift of either kind: [what to do](${var.runbook_url}#part-3-module-pins)."
      panels = [
        { file = "module_pins", title = "Modules in use, the widest spread first", visualization = "table" },
        { file = "module_pins_over_time", title = "Modules at several versions, and not pinned, day by day", visualization = "timechart" },
      ]
    }
  }

  workbook_tab_names = ["pipeline", "portal", "pins"]

  workbook_groups = [
    for tab in local.workbook_tab_names : {
      type                  = 12
      name                  = tab
      conditionalVisibility = { parameterName = "Tab", comparison = "isEqualTo", value = tab }
      content = {
        version   = "NotebookGroup/1.0"
        groupType = "editable"
        items = concat(
          [{ type = 1, name = "${tab}-text", content = { json = local.workbook_tabs[tab].says } }],
          [
            for panel in local.workbook_tabs[tab].panels : {
              type = 3
              name = panel.file
              content = {
                version                  = "KqlItem/1.0"
                title                    = panel.title
                query                    = templatefile("${path.module}/workbook/${panel.file}.kql", local.alert_arguments)
                visualization            = panel.visualization
                size                     = 0
                queryType                = 0
                resourceType             = "microsoft.operationalinsights/workspaces"
                crossComponentResources  = [azurerm_log_analytics_workspace.trueup.id]
                timeContext              = { durationMs = 0 }
                timeContextFromParameter = "Period"
              }
            }
          ],
        )
      }
    }
  ]
}

resource "azurerm_application_insights_workbook" "trueup" {
  # A workbook's name is a UUID. Of ours, so that the same configuration has the same one.
  name                = uuidv5("url", "https://trueup/${var.subscription_id}/${var.name}/workbook")
  display_name        = "trueup (${var.name})"
  description         = "The estate by verdict, what was clicked in it, and its module pins: a tab for each."
  resource_group_name = azurerm_resource_group.trueup.name
  location            = azurerm_resource_group.trueup.location
  source_id           = lower(azurerm_log_analytics_workspace.trueup.id)
  category            = "workbook"
  tags                = local.tags

  data_json = jsonencode({
    version             = "Notebook/1.0"
    fallbackResourceIds = [azurerm_log_analytics_workspace.trueup.id]
    "$schema"           = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"
    items = concat(
      [
        {
          type = 9
          name = "parameters"
          content = {
            version = "KqlParameterItem/1.0"
            style   = "pills"
            parameters = [{
              id         = uuidv5("url", "https://trueup/workbook/period")
              version    = "KqlParameterItem/1.0"
              name       = "Period"
              type       = 4
              isRequired = true
              value      = { durationMs = 30 * 24 * 60 * 60 * 1000 }
              typeSettings = {
                selectableValues = [for days in [2, 7, 30, 90] : { durationMs = days * 24 * 60 * 60 * 1000 }]
                allowCustom      = true
              }
            }]
          }
        },
        {
          type = 11
          name = "tabs"
          content = {
            version = "LinkItem/1.0"
            style   = "tabs"
            links = [
              for tab in local.workbook_tab_names : {
                id         = uuidv5("url", "https://trueup/workbook/${tab}")
                cellValue  = "Tab"
                linkTarget = "parameter"
                linkLabel  = local.workbook_tabs[tab].title
                subTarget  = tab
                style      = "link"
              }
            ]
          }
        },
      ],
      local.workbook_groups,
    )
  })
}
